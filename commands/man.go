package commands

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/muxi-ai/git-muxi-secrets/docs"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/gitutil/paths"
)

// pageMark is in every page that this program comes with, and in no other.
const pageMark = `.\" git-muxi-secrets: `

type manOptions struct {
	topic              []string
	install, uninstall bool
	prefix             string
}

func (r *runner) manCommand() *cli.Command {
	return &cli.Command{
		Name:      "man",
		Usage:     "show a man page, or install them for 'git help'",
		UsageText: "[COMMAND|guide] | --install [--prefix FOLDER] | --uninstall [--prefix FOLDER]",
		Description: `   git muxi-secrets man guide         from the first secret to CI
   git muxi-secrets man add
   git muxi-secrets man --install     then: git help muxi-secrets

Pages go to share/man beside the program's bin, where man looks for them by
itself; where that cannot be written, or is no bin, to ~/.local/share/man.`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "install", Usage: "install the man pages"},
			&cli.BoolFlag{Name: "uninstall", Usage: "remove the man pages that --install wrote"},
			&cli.StringFlag{Name: "prefix", Usage: "below `FOLDER`: FOLDER/share/man/man1"},
		},
		Action: r.action(func(ctx context.Context, s *session, c *cli.Context) error {
			o := manOptions{c.Args().Slice(), c.Bool("install"), c.Bool("uninstall"), c.String("prefix")}
			switch {
			case o.install && o.uninstall:
				return usage("--install and --uninstall exclude each other").hint("give one of them")
			case c.IsSet("prefix") && (o.prefix == "" || !o.install && !o.uninstall):
				return usage("--prefix FOLDER goes with --install or --uninstall").hint("see '%s -h'", c.Command.HelpName)
			case o.install || o.uninstall:
				if err := noArguments(c); err != nil {
					return err
				}
			}
			switch {
			case o.install:
				return s.installPages(o.prefix)
			case o.uninstall:
				return s.uninstallPages(o.prefix)
			}
			page, err := pageOn(o.topic)
			if err != nil {
				return err
			}
			return s.showPage(ctx, page)
		}),
	}
}

// pageOn finds the page on what a person calls a topic: nothing, a command's
// words, "guide", or a page's full name.
func pageOn(topic []string) (docs.Page, error) {
	all := docs.Pages()
	wanted := []string{strings.Join(topic, "-")}
	if len(topic) == 0 {
		wanted[0] = "git-muxi-secrets"
	} else {
		// A subcommand is on its command's page.
		wanted = append(wanted, "git-muxi-secrets-"+topic[0], "gitmuxi-secrets-"+topic[0], "git-"+topic[0])
	}
	for _, name := range wanted {
		for _, page := range all {
			if page.Name == name {
				return page, nil
			}
		}
	}
	if !plainWord(topic[0]) {
		return docs.Page{}, refuse("there is no such man page").hint("'%s man' is the one to begin with", program)
	}
	e := refuse("there is no man page on '%s'", topic[0])
	var names []string
	for _, c := range pageTopics() {
		names = append(names, c.word)
	}
	if near := nearest(topic[0], names); near != "" {
		return docs.Page{}, e.hint("did you mean '%s man %s'?", program, near)
	}
	return docs.Page{}, e.hint("'%s man' is the one to begin with", program)
}

// pageTopics lists what 'man' takes, with what each page is about.
func pageTopics() []candidate {
	var list []candidate
	for _, page := range docs.Pages() {
		topic := strings.TrimPrefix(strings.TrimPrefix(page.Name, "git-muxi-secrets-"), "gitmuxi-secrets-")
		if topic == page.Name {
			continue // the overview: no topic at all
		}
		_, about, _ := strings.Cut(string(page.Roff), `\- `)
		about, _, _ = strings.Cut(about, "\n")
		list = append(list, candidate{topic, unroff(about)})
	}
	return list
}

// showPage has man show a page to a person; elsewhere, and where there is no
// man, it is printed as plain text.
func (s *session) showPage(ctx context.Context, page docs.Page) error {
	if out := s.terminalOut(); out != nil {
		if viewer, err := exec.LookPath("man"); err == nil {
			shown, err := s.showWith(ctx, viewer, page, out)
			if err == nil && shown && !s.manFinds(viewer) {
				s.hint("'%s man --install' has 'git muxi-secrets --help', 'git help muxi-secrets' and man find these pages", program)
			}
			if err != nil || shown {
				return err
			}
		}
	}
	_, err := fmt.Fprint(s.Out, plainPage(page.Roff))
	return err
}

// terminalOut is standard output itself, where a person reads it: man asks it
// whether to begin a pager.
func (s *session) terminalOut() *os.File {
	if !s.OutIsTerminal {
		return nil
	}
	file, _ := bare(s.Out).(*os.File)
	return file
}

// showWith runs man on a page. shown is false where man is not a real one, such
// as that of minimised systems, or fails.
func (s *session) showWith(ctx context.Context, viewer string, page docs.Page, out *os.File) (shown bool, err error) {
	dir, err := os.MkdirTemp("", "git-muxi-secrets-man-")
	if err != nil {
		return false, nil
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, page.File())
	if err := os.WriteFile(file, page.Roff, 0o600); err != nil {
		return false, nil
	}
	man := exec.CommandContext(ctx, viewer, file)
	man.Stdin, man.Stdout, man.Stderr = s.In, out, nil
	man.Dir = s.Dir
	if s.Environ != nil {
		man.Env = s.Environ()
	}
	err = man.Run()
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err == nil, nil
}

// manFolders are where pages may be installed, the best first.
func (s *session) manFolders(prefix string) []string {
	if prefix != "" {
		return []string{filepath.Join(s.at(s.home(prefix)), "share", "man")}
	}
	var folders []string
	// man looks beside the folders of PATH, as they are spelled there.
	program, err := exec.LookPath("git-muxi-secrets")
	if err != nil {
		program, err = os.Executable()
	}
	if err == nil && filepath.Base(filepath.Dir(program)) == "bin" {
		folders = append(folders, filepath.Join(filepath.Dir(filepath.Dir(s.at(program))), "share", "man"))
	}
	if data := s.Getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		folders = append(folders, filepath.Join(data, "man"))
	} else if home := s.homeDir(); home != "" {
		folders = append(folders, filepath.Join(home, ".local", "share", "man"))
	}
	return folders
}

func (s *session) installPages(prefix string) error {
	folders := s.manFolders(prefix)
	if len(folders) == 0 {
		return failed(nil, "there is no folder to install man pages in").hint("name one with --prefix FOLDER")
	}
	var refused error
	for _, folder := range folders {
		err := s.writePages(folder)
		if err == nil {
			s.say("Installed %s in %s", plural(len(pagesAndLinks()), "man page"), s.showInstalled(folder))
			s.sayReachable(folder)
			return nil
		}
		if !errors.Is(err, fs.ErrPermission) && !isReadOnly(err) {
			return err
		}
		refused = err
	}
	return refused
}

// isReadOnly reports whether a write failed since the whole file system takes none.
func isReadOnly(err error) bool { return strings.Contains(err.Error(), "read-only") }

func (s *session) writePages(folder string) error {
	place := func(page docs.Page) string { return filepath.Join(folder, "man"+page.Section, page.File()) }
	for _, page := range pagesAndLinks() {
		file := place(page)
		if err := safefile.MakeFolder(filepath.Dir(file), 0o755); err != nil {
			return &safefile.Error{Op: "create", Path: filepath.Dir(file), Err: err}
		}
		if ours, err := isOurPage(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &safefile.Error{Op: "read", Path: file, Err: err}
		} else if err == nil && !ours {
			return refuse("'%s' is not of this program; nothing was changed", s.showInstalled(file)).hint("move it away, or name another folder with --prefix FOLDER")
		}
	}

	for _, page := range pagesAndLinks() {
		if err := s.Files.Put(place(page), page.Roff, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pagesAndLinks are the pages, and for each command's one a link under the name
// that 'git help muxi-secrets-add' asks for: to git, that is a guide.
func pagesAndLinks() []docs.Page {
	all := docs.Pages()
	for _, page := range all {
		if command, ok := strings.CutPrefix(page.Name, "git-muxi-secrets-"); ok {
			link := fmt.Sprintf("%slink to %s\n.so man%s/%s\n", pageMark, page.Name, page.Section, page.File())
			all = append(all, docs.Page{Name: "gitmuxi-secrets-" + command, Section: page.Section, Roff: []byte(link)})
		}
	}
	return all
}

func isOurPage(file string) (bool, error) {
	content, err := safefile.Read(file, maxPage)
	return bytes.HasPrefix(content, []byte(pageMark)), err
}

// maxPage bounds a man page that is looked at, in bytes.
const maxPage = 1 << 20

// sayReachable says what to type, or what to do so that man finds the pages.
func (s *session) sayReachable(folder string) {
	viewer, err := exec.LookPath("man")
	if err != nil {
		s.hint("there is no 'man' here; '%s man' prints them", program)
		return
	}
	if !s.manFinds(viewer) {
		s.hint("man does not look there: put 'export MANPATH=%s:' into your shell's start file", paths.Escape(folder))
		return
	}
	s.hint("read them with 'git help muxi-secrets', 'man git-muxi-secrets-add'")
}

// manFinds reports whether man, and so git, finds an installed page of ours.
func (s *session) manFinds(viewer string) bool {
	look := exec.Command(viewer, "-w", "git-muxi-secrets")
	if s.Environ != nil {
		look.Env = s.Environ()
	}
	found, err := look.Output()
	return err == nil && len(bytes.TrimSpace(found)) > 0
}

func (s *session) uninstallPages(prefix string) error {
	removed := 0
	for _, folder := range s.manFolders(prefix) {
		count, err := s.removePages(folder)
		if err != nil {
			return err
		}
		if count > 0 {
			s.say("Removed %s from %s", plural(count, "man page"), s.showInstalled(folder))
		}
		removed += count
	}
	if removed == 0 {
		s.say("There is no man page of ours to remove")
	}
	return nil
}

// removePages removes our pages, those of older versions too, and the folders
// that were there for them alone.
func (s *session) removePages(folder string) (count int, err error) {
	for _, section := range []string{"1", "7"} {
		dir := filepath.Join(folder, "man"+section)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // there is none
		}
		for _, entry := range entries {
			file := filepath.Join(dir, entry.Name())
			if !strings.HasPrefix(entry.Name(), "git") || !strings.HasSuffix(entry.Name(), "."+section) {
				continue
			}
			if ours, err := isOurPage(file); err != nil || !ours {
				continue
			}
			if err := os.Remove(file); err != nil {
				return count, &safefile.Error{Op: "remove", Path: file, Err: err}
			}
			count++
		}
		if count > 0 {
			os.Remove(dir) // only where nothing else is in it
		}
	}
	if count > 0 {
		os.Remove(folder)
	}
	return count, nil
}
