package scrub

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// rewriter makes commits again, with other versions of some files and with other
// messages. All else of them stays, byte for byte: who made them and when, the
// encoding, headers that it does not know. A signature is of what was there before,
// and goes.
type rewriter struct {
	repo    gitutil.Writer
	blobs   map[string]map[string]string // path -> blob -> what takes its place; "" for nothing
	folders map[string]bool              // on the way to such a path, "" for the top
	texts   map[string][]byte            // commit or tag -> its message

	trees   map[[2]string]string // folder and tree -> tree
	commits map[string]string    // old -> new, of those that changed
	tags    map[string]string    // old -> what it is to be
	signed  int                  // signatures that went
}

func newRewriter(repo gitutil.Writer) *rewriter {
	return &rewriter{
		repo: repo, blobs: map[string]map[string]string{}, folders: map[string]bool{},
		trees: map[[2]string]string{}, commits: map[string]string{}, tags: map[string]string{},
	}
}

// swap has a version of a file replaced by another; "" takes it away.
func (r *rewriter) swap(name, blob, by string) {
	if r.blobs[name] == nil {
		r.blobs[name] = map[string]string{}
	}
	r.blobs[name][blob] = by
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if dir == "." {
			r.folders[""] = true
			return
		}
		r.folders[dir] = true
	}
}

// tree returns what takes the place of a folder's tree; "" for an empty one.
func (r *rewriter) tree(ctx context.Context, dir, id string) (string, error) {
	if !r.folders[dir] {
		return id, nil
	}
	key := [2]string{dir, id}
	if known, ok := r.trees[key]; ok {
		return known, nil
	}

	kind, content, err := r.repo.Object(ctx, id)
	if err != nil {
		return "", err
	}
	if kind != "tree" {
		return "", fmt.Errorf("object %s is no tree", id)
	}
	var made []byte
	for rest := content; len(rest) > 0; {
		entry, size, ok := parseEntry(rest, len(id)/2)
		if !ok {
			return "", fmt.Errorf("tree %s is damaged", id)
		}
		to, err := r.entry(ctx, path.Join(dir, entry.name), entry)
		if err != nil {
			return "", err
		}
		if to != "" {
			raw, err := hex.DecodeString(to)
			if err != nil {
				return "", err
			}
			made = append(append(made, rest[:size-len(raw)]...), raw...)
		}
		rest = rest[size:]
	}

	to := id
	switch {
	case bytes.Equal(made, content):
	case len(made) == 0 && dir != "":
		to = "" // git has no empty folders
	default:
		if to, err = r.repo.StoreObject(ctx, "tree", made); err != nil {
			return "", err
		}
	}
	r.trees[key] = to
	return to, nil
}

// treeEntry is one line of a tree (gitformat: mode, a space, name, NUL, id).
type treeEntry struct {
	mode, name, id string
}

// parseEntry reads the entry that a tree begins with, whose id has so many bytes.
func parseEntry(content []byte, idSize int) (e treeEntry, size int, ok bool) {
	end := bytes.IndexByte(content, 0)
	if end < 0 || len(content) < end+1+idSize {
		return e, 0, false
	}
	e.mode, e.name, ok = strings.Cut(string(content[:end]), " ")
	size = end + 1 + idSize
	e.id = hex.EncodeToString(content[end+1 : size])
	return e, size, ok
}

func (r *rewriter) entry(ctx context.Context, name string, e treeEntry) (string, error) {
	switch strings.TrimLeft(e.mode, "0") {
	case "40000":
		return r.tree(ctx, name, e.id)
	case "160000":
		return e.id, nil // a submodule
	}
	if by, ok := r.blobs[name][e.id]; ok {
		return by, nil
	}
	return e.id, nil
}

// commit makes a commit again, whose parents were made again before. Where nothing
// of it changes it stays itself.
func (r *rewriter) commit(ctx context.Context, id string) error {
	kind, content, err := r.repo.Object(ctx, id)
	if err != nil {
		return err
	}
	if kind != "commit" {
		return fmt.Errorf("object %s is no commit", id)
	}
	header, message, _ := bytes.Cut(content, []byte("\n\n"))
	changed, signatures := false, 0
	var made []byte
	for _, field := range headerFields(header) {
		name, value, _ := strings.Cut(field, " ")
		to := value
		switch name {
		case "tree":
			if to, err = r.tree(ctx, "", value); err != nil {
				return err
			}
		case "parent":
			if again, ok := r.commits[value]; ok {
				to = again
			}
		case "gpgsig", "gpgsig-sha256":
			signatures++
			continue
		case "mergetag":
			// A tag of a commit that is made again names the old one, and its signature
			// is of that.
			target, _, _ := strings.Cut(strings.TrimPrefix(value, "object "), "\n")
			if _, again := r.commits[target]; again {
				signatures++
				continue
			}
		}
		changed = changed || to != value
		made = append(made, name+" "+to+"\n"...)
	}
	if text, ok := r.texts[id]; ok && !bytes.Equal(text, message) {
		message, changed = text, true
	}
	if !changed {
		return nil
	}

	made = append(append(made, '\n'), message...)
	r.signed += signatures
	r.commits[id], err = r.repo.StoreObject(ctx, "commit", made)
	return err
}

// headerFields parts a header into its fields, each with the lines that it goes on
// in.
func headerFields(header []byte) (fields []string) {
	for line := range bytes.Lines(header) {
		text := strings.TrimSuffix(string(line), "\n")
		if n := len(fields); n > 0 && strings.HasPrefix(text, " ") {
			fields[n-1] += "\n" + text
			continue
		}
		fields = append(fields, text)
	}
	return fields
}

// maxTags bounds how many tags stand for one another.
const maxTags = 20

// tag returns what a tag's object is to be: itself, or one for the commit that was
// made again. clean takes leaks out of the message of a tag of this name.
func (r *rewriter) tag(ctx context.Context, id string, depth int, clean func(name string, message []byte) []byte) (string, error) {
	if again, ok := r.commits[id]; ok {
		return again, nil
	}
	if known, ok := r.tags[id]; ok {
		return known, nil
	}
	kind, content, err := r.repo.Object(ctx, id)
	if err != nil || kind != "tag" || depth == maxTags {
		return id, err
	}
	header, message, _ := bytes.Cut(content, []byte("\n\n"))
	fields := headerFields(header)
	_, target, _ := strings.Cut(fields[0], " ")
	to, err := r.tag(ctx, target, depth+1, clean)
	if err != nil {
		return "", err
	}

	text := message
	var made []byte
	for i, field := range fields {
		name, value, _ := strings.Cut(field, " ")
		switch {
		case i == 0:
			value = to
		case name == "tag":
			text = clean(value, message)
		case strings.HasPrefix(name, "gpgsig"):
			continue
		}
		made = append(made, name+" "+value+"\n"...)
	}
	if to == target && bytes.Equal(text, message) {
		r.tags[id] = id
		return id, nil
	}
	text, had := unsigned(text)
	if had || bytes.Contains(header, []byte("\ngpgsig")) {
		r.signed++
	}
	r.tags[id], err = r.repo.StoreObject(ctx, "tag", append(append(made, '\n'), text...))
	return r.tags[id], err
}

// unsigned takes the signature off the end of a tag's message.
func unsigned(message []byte) (text []byte, had bool) {
	for _, begin := range [...]string{"-----BEGIN PGP SIGNATURE-----", "-----BEGIN PGP MESSAGE-----", "-----BEGIN SSH SIGNATURE-----", "-----BEGIN SIGNED MESSAGE-----"} {
		if at := bytes.Index(append([]byte("\n"), message...), []byte("\n"+begin)); at >= 0 {
			return message[:at], true
		}
	}
	return message, false
}
