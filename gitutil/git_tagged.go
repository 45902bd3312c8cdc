package gitutil

import (
	"bytes"
	"context"
	"strings"
)

func (g *gitRepo) Tagged(ctx context.Context, refs []Ref, v Visitor) error {
	return g.visit(ctx, &v, func(ctx context.Context, e *emitter) error {
		return g.listTagged(ctx, e, newSeenBlobs(), refs)
	})
}

// otherRefs are the refs that point to anything but a commit.
func (g *gitRepo) otherRefs(ctx context.Context) ([]Ref, error) {
	out, err := g.output(ctx, nil, "for-each-ref", "--format=%(objecttype) %(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for line := range strings.Lines(string(out)) {
		columns := strings.Fields(line)
		if len(columns) == 3 && columns[0] != "commit" {
			refs = append(refs, Ref{Name: columns[2], ID: columns[1]})
		}
	}
	return refs, nil
}

// listTagged emits what Tagged visits.
func (g *gitRepo) listTagged(ctx context.Context, e *emitter, seen *seenBlobs, refs []Ref) error {
	for len(refs) > 0 {
		kinds, err := g.kinds(ctx, refs)
		if err != nil {
			return err
		}
		var tags []Ref
		for i, ref := range refs {
			switch kinds[i] {
			case "tag":
				tags = append(tags, ref)
			case "blob":
				if seen.add(ref.Name, ref.ID) {
					err = e.blob(Blob{Path: ref.Name, Mode: ModeFile, ID: ref.ID})
				}
			case "tree":
				e.prefix = ref.Name + "/"
				err = g.list(ctx, e, nil, []string{"ls-tree", "-r", "--full-tree", "-z", ref.ID},
					func(f *fields) error { return parseTree(f, e) })
				e.prefix = ""
			}
			if err != nil {
				return err
			}
		}
		refs = refs[:0]
		for _, tag := range tags {
			object, err := g.output(ctx, nil, "cat-file", "tag", tag.ID)
			if err != nil {
				return err
			}
			target, message := parseTag(string(object))
			if err := e.commit(&Commit{Hash: tag.ID, Message: message, Tag: tag.Name}, false); err != nil {
				return err
			}
			if isObjectID(target) {
				refs = append(refs, Ref{Name: tag.Name, ID: target})
			}
		}
	}
	return nil
}

// kinds gives the type of each ref's object, "" where there is none.
func (g *gitRepo) kinds(ctx context.Context, refs []Ref) ([]string, error) {
	var ids bytes.Buffer
	for _, ref := range refs {
		ids.WriteString(ref.ID + "\n")
	}
	out, err := g.output(ctx, ids.Bytes(), "cat-file", "--batch-check=%(objecttype)")
	if err != nil {
		return nil, err
	}
	kinds := make([]string, len(refs))
	for i, line := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		if i < len(kinds) && !strings.HasSuffix(line, " missing") {
			kinds[i] = line
		}
	}
	return kinds, nil
}

// parseTag reads a tag object: what it points to, and its message.
func parseTag(object string) (target, message string) {
	header, _, _ := strings.Cut(object, "\n")
	return strings.TrimPrefix(header, "object "), messageOf(object)
}
