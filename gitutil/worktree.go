package gitutil

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// NoWorkTreeError says that a question is about files on disk and the
// repository has none: it is bare.
type NoWorkTreeError struct{ GitDir string }

func (e *NoWorkTreeError) Error() string {
	return "repository '" + e.GitDir + "' has no work tree"
}

func (g *gitRepo) WorkTree(ctx context.Context, v Visitor) error {
	if g.layout.Top == "" {
		return &NoWorkTreeError{GitDir: g.layout.GitDir}
	}
	out, err := g.output(ctx, nil, "ls-files", "-z", "--full-name", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	disk := newDiskReader(g.layout.Top, &v)
	previous := ""
	for path := range strings.SplitSeq(string(out), "\x00") {
		if path == previous || path == "" {
			continue // each stage of an unmerged path is listed
		}
		previous = path
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := disk.visit(path); err != nil {
			return err
		}
	}
	return nil
}

// diskReader reads files of the work tree without following a symbolic link
// anywhere on the way.
type diskReader struct {
	top   string
	v     *Visitor
	links map[string]bool // folder -> whether a link leads there
	data  []byte
}

func newDiskReader(top string, v *Visitor) *diskReader {
	return &diskReader{top: top, v: v, links: map[string]bool{"": false}}
}

func (d *diskReader) visit(path string) error {
	if d.v.Blob == nil || strings.HasSuffix(path, "/") || d.behindLink(parentOf(path)) {
		return nil
	}
	full := filepath.Join(d.top, filepath.FromSlash(path))
	info, err := os.Lstat(full)
	if err != nil {
		if isMissing(err) {
			return nil
		}
		return d.v.Blob(&Blob{Path: path, Mode: ModeFile, Err: err})
	}
	b := Blob{Path: path, Mode: ModeFile, Size: info.Size()}
	switch {
	case info.Mode().IsRegular():
		if info.Mode()&0o100 != 0 {
			b.Mode = ModeExec
		}
	case info.Mode()&fs.ModeSymlink != 0:
		b.Mode = ModeLink
	default:
		return nil // a submodule, a pipe, a device
	}
	if !d.v.wants(path, b.Mode) {
		return nil
	}
	if b.Mode == ModeLink {
		target, err := os.Readlink(full)
		b.Data, b.Err = []byte(filepath.ToSlash(target)), err
		b.Size = int64(len(b.Data))
	} else {
		var f *os.File
		if f, b.Err = openFile(full); b.Err == nil {
			defer f.Close()
			b.Data, b.Err = d.read(f, info)
		}
		switch {
		case b.Err != nil:
		case int64(len(b.Data)) < d.v.maxBlob():
			b.Size = int64(len(b.Data)) // it may have changed since Lstat
		case b.Truncated():
			b.Rest = f
			b.Reopen = func() (io.ReadCloser, error) { return openFile(full) }
		}
	}
	if b.Err != nil {
		if isMissing(b.Err) {
			return nil
		}
		b.Data = nil
	}
	return d.v.Blob(&b)
}

func openFile(full string) (*os.File, error) { return os.OpenFile(full, os.O_RDONLY|openNoFollow, 0) }

func (d *diskReader) read(f *os.File, info fs.FileInfo) ([]byte, error) {
	limit := d.v.maxBlob()
	if want := min(info.Size()+1, limit); int64(cap(d.data)) < want {
		d.data = make([]byte, 0, max(want, 1<<16))
	}
	d.data = d.data[:0]
	for int64(len(d.data)) < limit {
		if len(d.data) == cap(d.data) {
			d.data = append(d.data, 0)[:len(d.data)]
		}
		room := d.data[len(d.data):cap(d.data)]
		if left := limit - int64(len(d.data)); int64(len(room)) > left {
			room = room[:left]
		}
		n, err := f.Read(room)
		d.data = d.data[:len(d.data)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return d.data, nil
}

// behindLink tells whether a folder is, or lies below, a symbolic link. Git does
// not see what is there as part of the work tree.
func (d *diskReader) behindLink(dir string) bool {
	if known, ok := d.links[dir]; ok {
		return known
	}
	link := d.behindLink(parentOf(dir))
	if !link {
		info, err := os.Lstat(filepath.Join(d.top, filepath.FromSlash(dir)))
		link = err == nil && info.Mode()&fs.ModeSymlink != 0
	}
	d.links[dir] = link
	return link
}

func parentOf(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}

// baseOf is the last name of a path of git's.
func baseOf(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
