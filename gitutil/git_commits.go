package gitutil

import (
	"bytes"
	"context"
	"errors"
	"strings"
)

func (g *gitRepo) ResolveRev(ctx context.Context, rev string) (string, error) {
	if err := checkRev(rev); err != nil {
		return "", err
	}
	out, err := g.output(ctx, nil, "rev-parse", "--quiet", "--verify", rev+"^{commit}")
	var owner *DubiousOwnershipError
	if failed, ok := errors.AsType[*GitError](err); ok && (failed.Code == 1 || failed.Code == 128) && !errors.As(err, &owner) {
		return "", &RevisionError{Rev: rev, Cause: complaint(failed.Stderr)}
	}
	return strings.TrimSpace(string(out)), err
}

// complaint is the line of git's that says why it gave up, without what else it says.
func complaint(stderr string) string {
	for _, mark := range []string{"fatal: ", "error: "} {
		for line := range strings.Lines(stderr) {
			if cause, ok := strings.CutPrefix(line, mark); ok {
				return strings.TrimSpace(cause)
			}
		}
	}
	return ""
}

// Unambiguous has git warn, whatever the settings say of that.
func (g *gitRepo) Unambiguous(ctx context.Context, rev string) error {
	if checkRev(rev) != nil {
		return nil
	}
	cmd := g.command(ctx, "-c", "core.warnAmbiguousRefs=true", "rev-parse", "--verify", rev)
	cmd.Env = g.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if strings.Contains(stderr.String(), "' is ambiguous.") && err == nil {
		return &AmbiguousError{Rev: rev}
	}
	return nil
}

func (g *gitRepo) MergeBase(ctx context.Context, a, b string) (string, bool, error) {
	for _, rev := range []string{a, b} {
		if err := checkRev(rev); err != nil {
			return "", false, err
		}
	}
	out, err := g.output(ctx, nil, "merge-base", a, b)
	if exitCode(err) == 1 {
		return "", false, nil
	}
	if err != nil {
		return "", false, revError(err, a, b)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first, true, nil
}

// revError finds the revision that git complains about.
func revError(err error, revs ...string) error {
	e, ok := err.(*GitError)
	if !ok {
		return err
	}
	for _, phrase := range []string{"Not a valid object name ", "bad revision '", "ambiguous argument '", "Not a valid commit name ", "not a tree object", "bad object ", "Invalid symmetric difference"} {
		rest, found := cutAfter(e.Stderr, phrase)
		if !found {
			continue
		}
		named := ""
		for _, rev := range revs { // HEAD stands at the beginning of HEAD~9, too
			if strings.HasPrefix(strings.TrimPrefix(rest, "^"), rev) && len(rev) > len(named) {
				named = rev
			}
		}
		if named != "" {
			return &RevisionError{Rev: named}
		}
		if len(revs) == 1 {
			return &RevisionError{Rev: revs[0]}
		}
	}
	return err
}

func (g *gitRepo) Commits(ctx context.Context, r Range, v Visitor) error {
	args := []string{}
	for _, rev := range r.include() {
		if err := checkRev(rev); err != nil {
			return err
		}
		args = append(args, rev)
	}
	for _, rev := range r.Exclude {
		if err := checkRev(rev); err != nil {
			return err
		}
		args = append(args, "^"+rev)
	}
	if r.ExceptRemote != "" {
		args = append(args, "--not", "--remotes="+r.ExceptRemote, "--not")
	}
	if r.Unpushed {
		args = append(args, "--not", "--remotes", "--not")
	}
	if r.ExceptRefs {
		args = append(args, "--not", "--all", "--not")
	}
	// From here on git passes over ids that it does not have.
	args = append(args, "--ignore-missing")
	for _, id := range r.Known {
		if isObjectID(id) && !isZeroID(id) {
			args = append(args, "^"+id)
		}
	}
	err := g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		return g.listCommits(ctx, e, newSeenBlobs(), args, "the commits before the end of the range")
	})
	return revError(err, append(r.include(), r.Exclude...)...)
}

func (g *gitRepo) History(ctx context.Context, v Visitor) error {
	return g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		seen := newSeenBlobs()
		err := g.listCommits(ctx, e, seen, []string{"--exclude=" + OwnRefs + "*", "--all"}, "the history before the oldest commits")
		var shallow *ShallowError
		if err != nil && !errors.As(err, &shallow) {
			return err
		}
		refs, rerr := g.otherRefs(ctx)
		if rerr == nil {
			rerr = g.listTagged(ctx, e, seen, refs)
		}
		if rerr != nil {
			return rerr
		}
		return err
	})
}

// listCommits joins rev-list and diff-tree, which unlike log have no settings
// that add to or take from their output.
func (g *gitRepo) listCommits(ctx context.Context, e *emitter, seen *seenBlobs, revs []string, question string) error {
	walk := append([]string{"rev-list", "--reverse", "--date-order"}, revs...)
	diff := append(rawDiff("diff-tree", "--stdin"), "-r", "-c", "--root", "--always", "--encoding=UTF-8",
		"--format=%H%x00%P%x00%e%x00%B")
	cut := g.layout.ShallowCommits()
	reachedCut := false
	err := g.list(ctx, e, append(walk, "--"), diff, func(f *fields) error {
		var hash string
		for {
			field, err := f.next()
			if err != nil {
				return err
			}
			// A line end stands between a message and its changes.
			field = bytes.TrimPrefix(field, []byte("\n"))
			switch {
			case len(field) == 0: // stands between a merge's message and its changes
			case field[0] != ':':
				hash = string(field)
				reachedCut = reachedCut || cut[hash]
				if err := readCommit(f, e, hash); err != nil {
					return err
				}
			default:
				change, err := parseRaw(field)
				if err != nil {
					return err
				}
				path, err := f.next()
				if err != nil {
					return err
				}
				if change.mode.hasContent() && seen.add(string(path), change.id) {
					if err := e.blob(Blob{Path: string(path), Mode: change.mode, ID: change.id, Commit: hash}); err != nil {
						return err
					}
				}
			}
		}
	})
	if err == nil && reachedCut {
		return &ShallowError{Question: question}
	}
	return err
}

// readCommit reads the rest of a commit's header: parents, encoding, message.
// Git converts a message in another encoding to UTF-8; what is looked for are
// the bytes that are pushed, so such a one is read again as it is stored.
func readCommit(f *fields, e *emitter, hash string) error {
	c := &Commit{Hash: hash}
	field, err := f.next()
	if err != nil {
		return err
	}
	c.Parents = strings.Fields(string(field))
	if field, err = f.next(); err != nil {
		return err
	}
	converted := len(field) > 0
	if field, err = f.next(); err != nil {
		return err
	}
	c.Message = string(field)
	return e.commit(c, converted)
}

// messageOf takes the message out of a commit object. It ends at a NUL, where
// git takes it to end.
func messageOf(object string) string {
	_, message, _ := strings.Cut(object, "\n\n")
	message, _, _ = strings.Cut(message, "\x00")
	return message
}
