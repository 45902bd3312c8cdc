package gitutil

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// catFile is one `git cat-file --batch`: ids go in, contents come out in the
// same order. Asking and reading happen on two goroutines.
type catFile struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	pipe   io.Closer // of out
	ids    *bufio.Writer
	out    *bufio.Reader
	stderr bytes.Buffer
	data   []byte // reused from blob to blob
	left   int64  // bytes of the object that was asked for last, and not read yet

	ended  sync.Once
	endErr error
}

// takeCatFile gives the cat-file that an earlier visit left, or a new one. The
// context of a visit does not end it: it lives as long as the repository.
func (g *gitRepo) takeCatFile() (*catFile, error) {
	g.mu.Lock()
	cat := g.idle
	g.idle = nil
	g.mu.Unlock()
	if cat != nil {
		return cat, nil
	}
	return g.startCatFile()
}

// keepCatFile keeps a cat-file for the next visit; one is enough.
func (g *gitRepo) keepCatFile(cat *catFile) {
	g.mu.Lock()
	kept := g.idle == nil && !g.closed
	if kept {
		g.idle = cat
	}
	g.mu.Unlock()
	if !kept {
		cat.end()
	}
}

// Close ends the cat-file that is left.
func (g *gitRepo) Close() error {
	g.mu.Lock()
	cat := g.idle
	g.idle, g.closed = nil, true
	g.mu.Unlock()
	if cat != nil {
		cat.kill() // it only reads, and to wait for its own end takes longer
		cat.end()
	}
	return nil
}

// bigFiles is the setting above which git streams a blob instead of holding all of it.
const bigFiles = "core.bigFileThreshold=4m"

func (g *gitRepo) startCatFile() (*catFile, error) {
	cmd := g.command(context.Background(), "-c", bigFiles, "cat-file", "--batch")
	c := &catFile{cmd: cmd}
	cmd.Stderr = &c.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, started, err := blockingStdout(cmd)
	if err != nil {
		return nil, err
	}
	err = cmd.Start()
	started()
	if err != nil {
		in.Close()
		out.Close()
		return nil, &GitError{Args: []string{"cat-file"}, Code: -1, Err: err}
	}
	c.in, c.pipe, c.ids, c.out = in, out, bufio.NewWriterSize(in, 4096), bufio.NewReaderSize(out, 256<<10)
	return c, nil
}

// ask requests a blob. It reaches git with the next flush.
func (c *catFile) ask(id string) error {
	if _, err := c.ids.WriteString(id); err != nil {
		return err
	}
	return c.ids.WriteByte('\n')
}

// flush hands what was asked to git. It is called by the asking goroutine alone.
func (c *catFile) flush() { c.ids.Flush() }

// read fills in the size and the data of the object that is next in line. What
// follows the data is for Rest, until pass.
func (c *catFile) read(ctx context.Context, b *Blob, kind string, max int64) error {
	header, err := c.out.ReadSlice('\n')
	if err != nil {
		return c.failure(ctx, b)
	}
	fields := strings.Fields(string(header))
	if len(fields) == 2 && fields[1] == "missing" {
		return &MissingObjectError{ID: b.ID, Path: b.Path}
	}
	if len(fields) != 3 || fields[1] != kind {
		return &GitError{Args: []string{"cat-file"}, Stderr: "object " + b.ID + " is no " + kind}
	}
	if b.Size, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return &GitError{Args: []string{"cat-file"}, Code: -1, Err: err}
	}
	n := int(min(b.Size, max))
	if cap(c.data) < n || (cap(c.data) > 1<<20 && n < 1<<16) {
		c.data = make([]byte, n, max64k(n)) // one large blob does not stay in memory for good
	}
	c.data = c.data[:n]
	if _, err := io.ReadFull(c.out, c.data); err != nil {
		return c.failure(ctx, b)
	}
	c.left = b.Size - int64(n)
	if b.Data = c.data; c.left > 0 {
		b.Rest = &catRest{c, ctx, b}
	}
	return nil
}

// pass leaves what nobody read of an object, and the line end behind it.
func (c *catFile) pass(ctx context.Context, b *Blob) error {
	if _, err := io.CopyN(io.Discard, c.out, c.left+1); err != nil {
		return c.failure(ctx, b)
	}
	return nil
}

// catRest reads on in the object that was asked for last.
type catRest struct {
	cat *catFile
	ctx context.Context
	b   *Blob
}

func (r *catRest) Read(p []byte) (int, error) {
	if r.cat.left == 0 {
		return 0, io.EOF
	}
	n, err := r.cat.out.Read(p[:min(int64(len(p)), r.cat.left)])
	r.cat.left -= int64(n)
	if err != nil {
		err = r.cat.failure(r.ctx, r.b)
	}
	return n, err
}

// reopen reads a blob once more, by a git of its own.
func (g *gitRepo) reopen(ctx context.Context, id string) (io.ReadCloser, error) {
	cmd := g.command(ctx, "-c", bigFiles, "cat-file", "blob", id)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, &GitError{Args: []string{"cat-file"}, Code: -1, Err: err}
	}
	return &oneBlob{out, cmd}, nil
}

// oneBlob is a git that prints a blob.
type oneBlob struct {
	io.Reader
	cmd *exec.Cmd
}

// Close ends git, which may not be done.
func (o *oneBlob) Close() error {
	o.cmd.Process.Kill()
	o.cmd.Wait()
	return nil
}

func max64k(n int) int { return max(n, 1<<16) }

// failure says why git stopped in the middle. In a partial clone older git
// tries to fetch a missing object and dies, because it may not.
func (c *catFile) failure(ctx context.Context, b *Blob) error {
	err := c.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	stderr := c.stderr.String()
	if strings.Contains(stderr, b.ID) || strings.Contains(stderr, "promisor") {
		return &MissingObjectError{ID: b.ID, Path: b.Path}
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return runError(ctx, []string{"cat-file", "--batch"}, stderr, err)
}

// kill makes a read that waits for git return.
func (c *catFile) kill() { c.cmd.Process.Kill() }

// end closes our side and waits, once.
func (c *catFile) end() error {
	c.ended.Do(func() {
		c.in.Close()
		c.pipe.Close()
		c.endErr = c.cmd.Wait()
	})
	return c.endErr
}
