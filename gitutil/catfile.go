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

	ended  sync.Once
	endErr error
}

func (g *gitRepo) startCatFile(ctx context.Context) (*catFile, error) {
	// Above the threshold git streams a blob instead of holding all of it.
	cmd := g.command(ctx, "-c", "core.bigFileThreshold=16m", "cat-file", "--batch")
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

// done says that nothing more is asked for.
func (c *catFile) done() error {
	err := c.ids.Flush()
	if cerr := c.in.Close(); err == nil {
		err = cerr
	}
	return err
}

// read fills in the size and the data of the object that is next in line.
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
	if _, err := io.CopyN(io.Discard, c.out, b.Size-int64(n)+1); err != nil {
		return c.failure(ctx, b)
	}
	b.Data = c.data
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

// wait takes git's leave after the last blob.
func (c *catFile) wait(ctx context.Context) error {
	if err := c.end(); err != nil {
		return runError(ctx, []string{"cat-file", "--batch"}, c.stderr.String(), err)
	}
	return nil
}

// end closes our side and waits, once.
func (c *catFile) end() error {
	c.ended.Do(func() {
		c.in.Close()
		c.pipe.Close()
		c.endErr = c.cmd.Wait()
	})
	return c.endErr
}
