package gitutil

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
)

// event is one thing for a visitor, in the order of the visit.
type event struct {
	commit  *Commit
	reread  bool // its message is to come from the object itself
	deleted bool
	blob    Blob // without data yet
}

// emitter takes the events of a listing and asks for the blobs among them.
type emitter struct {
	ctx     context.Context
	v       *Visitor
	start   func() (*catFile, error)
	reopen  func(ctx context.Context, id string) (io.ReadCloser, error)
	cat     *catFile    // nil until something may be asked for
	unwatch func() bool // stops the context from ending cat
	events  chan []event
	free    chan []event // batches that were delivered, to be filled again
	batch   []event      // not sent yet
	prefix  string       // stands before each blob's path
}

// Events are handed over in batches: to wake the other side for each of them takes
// as long as to read a small file.
const (
	batchEvents = 64
	maxBatches  = 8
)

// visit runs a listing of blobs and `cat-file --batch` side by side: list calls
// the emitter from its own goroutine, the visitor's callbacks run on ours.
//
// An event is sent before the request for its blob can reach git, and what was asked
// is flushed before the listing waits for anything, so that neither side can wait for
// the other for ever. Every blob asked for is read, so that cat-file is ready for
// the next visit after one that ended well; after any other it is ended.
func (g *gitRepo) visit(ctx context.Context, v *Visitor, list func(context.Context, *emitter) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &emitter{ctx: ctx, v: v, start: g.takeCatFile, reopen: g.reopen, events: make(chan []event, maxBatches), free: make(chan []event, maxBatches+2)}
	listed := make(chan error, 1)
	go func() {
		err := list(ctx, e)
		e.flush()
		close(e.events)
		listed <- err
	}()
	var failed error
	for batch := range e.events {
		if failed != nil {
			continue // the listing is on its way out
		}
		for i := range batch {
			if failed = e.deliver(&batch[i]); failed != nil {
				cancel(failed)
				break
			}
		}
		clear(batch)
		select {
		case e.free <- batch[:0]:
		default:
		}
	}
	err := <-listed
	if failed != nil {
		err = failed
	}
	if e.cat == nil {
		return err
	}
	if !e.unwatch() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		e.cat.kill()
		e.cat.end()
		return err
	}
	g.keepCatFile(e.cat)
	return nil
}

// needCat sees to it that there is a cat-file, before an event that needs one is
// sent. The listing's goroutine alone calls it.
func (e *emitter) needCat() error {
	if e.cat != nil {
		return nil
	}
	cat, err := e.start()
	if err != nil {
		return err
	}
	e.unwatch = context.AfterFunc(e.ctx, cat.kill)
	e.cat = cat
	return nil
}

// flush hands over what there is, events first.
func (e *emitter) flush() {
	if e.handOver() == nil && e.cat != nil {
		e.cat.flush()
	}
}

func (e *emitter) deliver(ev *event) error {
	switch {
	case ev.commit != nil:
		if ev.reread {
			object := Blob{ID: ev.commit.Hash}
			if err := e.cat.read(e.ctx, &object, "commit", e.v.maxBlob()); err != nil {
				return err
			}
			if err := e.cat.pass(e.ctx, &object); err != nil {
				return err
			}
			ev.commit.Message = messageOf(string(object.Data))
		}
		return e.v.Commit(ev.commit)
	case ev.deleted:
		return e.v.Deleted(ev.blob.Path)
	}
	if err := e.cat.read(e.ctx, &ev.blob, "blob", e.v.maxBlob()); err != nil {
		return err
	}
	if ev.blob.Rest != nil {
		ev.blob.Reopen = func() (io.ReadCloser, error) { return e.reopen(e.ctx, ev.blob.ID) }
	}
	if err := e.v.Blob(&ev.blob); err != nil {
		return err
	}
	return e.cat.pass(e.ctx, &ev.blob)
}

func (e *emitter) send(ev event) error {
	e.batch = append(e.batch, ev)
	if len(e.batch) < batchEvents {
		return nil
	}
	return e.handOver()
}

// handOver sends the batch.
func (e *emitter) handOver() error {
	if len(e.batch) == 0 {
		return nil
	}
	batch := e.batch
	e.batch = nil
	select {
	case e.batch = <-e.free:
	default:
		e.batch = make([]event, 0, batchEvents)
	}

	select {
	case e.events <- batch:
		return nil
	default:
	}
	if e.cat != nil {
		e.cat.flush() // the other side may be waiting for these blobs
	}
	select {
	case e.events <- batch:
		return nil
	case <-e.ctx.Done():
		return context.Cause(e.ctx)
	}
}

// ask requests an object whose event was sent. Before requests can reach git, the
// events before them are on their way: git may wait for them to be read.
func (e *emitter) ask(id string) error {
	if e.cat.ids.Available() <= len(id) {
		if err := e.handOver(); err != nil {
			return err
		}
	}
	e.cat.ask(id)
	return nil
}

// blob passes a blob on, if the visitor wants it. When git has stopped taking
// requests, reading the answer says why.
func (e *emitter) blob(b Blob) error {
	b.Path = e.prefix + b.Path
	if !e.v.wants(b.Path, b.Mode) {
		return nil
	}
	if err := e.needCat(); err != nil {
		return err
	}
	if err := e.send(event{blob: b}); err != nil {
		return err
	}
	return e.ask(b.ID)
}

func (e *emitter) commit(c *Commit, reread bool) error {
	if e.v.Commit == nil {
		return nil
	}
	if reread {
		if err := e.needCat(); err != nil {
			return err
		}
	}
	if err := e.send(event{commit: c, reread: reread}); err != nil {
		return err
	}
	if reread {
		return e.ask(c.Hash)
	}
	return nil
}

func (e *emitter) deleted(path string) error {
	if e.v.Deleted == nil {
		return nil
	}
	return e.send(event{deleted: true, blob: Blob{Path: path}})
}

// blockingStdout is StdoutPipe with reads that block in the kernel. Git writes
// an object in three small pieces, and to be woken through the poller for each
// of them takes longer than git takes to read the object. The caller closes the
// reader, and calls started once the process has its own copy of the other end.
func blockingStdout(cmd *exec.Cmd) (r *os.File, started func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	r.Fd() // switches to blocking mode
	widenPipe(r)
	cmd.Stdout = w
	return r, func() { w.Close() }, nil
}

// fields reads a listing as fields that end in NUL.
type fields struct {
	r    *bufio.Reader
	long []byte
}

// next gives a field without its NUL, valid until the next call; io.EOF after
// the last one.
func (f *fields) next() ([]byte, error) {
	f.long = f.long[:0]
	for {
		part, err := f.r.ReadSlice(0)
		switch {
		case err == nil && len(f.long) == 0:
			return part[:len(part)-1], nil
		case err == nil:
			f.long = append(f.long, part...)
			return f.long[:len(f.long)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
			f.long = append(f.long, part...)
		case err == io.EOF && len(part)+len(f.long) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// flushFirst flushes requests before a read that may have to wait.
type flushFirst struct {
	r     io.Reader
	flush func()
}

func (f flushFirst) Read(p []byte) (int, error) {
	f.flush()
	return f.r.Read(p)
}

// list runs git and hands its NUL-separated output to parse while it runs. With
// from, that command's output is its standard input.
func (g *gitRepo) list(ctx context.Context, e *emitter, from, args []string, parse func(*fields) error) error {
	return g.stream(ctx, listing{from: from, args: args, env: g.env, flush: e.flush, started: func() error {
		if e.v.Want != nil {
			return nil // a visitor that picks its blobs may want none of them
		}
		return e.needCat() // it will be needed: let it start up while the listing works
	}}, parse)
}

// listing is a run of git, with another one before it in a pipe where from is set.
type listing struct {
	from, args []string
	env        []string
	flush      func()       // called before a read that may wait
	started    func() error // called when git runs; an error ends it
}

// stream runs git and hands its NUL-separated output to parse while it runs.
func (g *gitRepo) stream(ctx context.Context, l listing, parse func(*fields) error) error {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := g.command(ctx, l.args...)
	cmd.Env = l.env
	var stderr, fromStderr bytes.Buffer
	cmd.Stderr = &stderr
	out, started, err := blockingStdout(cmd)
	if err != nil {
		return err
	}
	defer out.Close()
	defer started()
	var fromWait func() error
	if l.from != nil {
		source := g.command(ctx, l.from...)
		source.Env = l.env
		source.Stderr = &fromStderr
		pipe, err := source.StdoutPipe()
		if err != nil {
			return err
		}
		cmd.Stdin = pipe
		if err := source.Start(); err != nil {
			return &GitError{Args: l.from, Code: -1, Err: err}
		}
		fromWait = source.Wait
	}
	if err := cmd.Start(); err != nil {
		cancel()
		if fromWait != nil {
			fromWait()
		}
		return &GitError{Args: l.args, Code: -1, Err: err}
	}
	started()
	if err := l.started(); err != nil {
		cancel()
	}
	perr := parse(&fields{r: bufio.NewReaderSize(flushFirst{out, l.flush}, 64<<10)})
	if perr == io.EOF {
		perr = nil
	}
	if perr != nil {
		cancel() // nobody reads on, so neither process may wait for that
	}
	var ferr error
	if fromWait != nil {
		ferr = fromWait()
	}
	werr := cmd.Wait()
	switch {
	case outer.Err() != nil:
		return context.Cause(outer)
	case perr != nil && !errors.Is(perr, io.ErrUnexpectedEOF):
		return perr
	case ferr != nil && (werr == nil || fromStderr.Len() > 0):
		return runError(outer, l.from, fromStderr.String(), ferr)
	case werr != nil: // the other one may have ended because this one did
		return runError(outer, l.args, stderr.String(), werr)
	}
	return perr
}
