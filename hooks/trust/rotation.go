package trust

import (
	"bytes"
	"context"
	"path"
	"slices"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/gitutil"
)

// Rotation is a commit that sealed a formation's vault with another key.
type Rotation struct {
	Commit   string
	Parents  []string
	Dir, Was string // the folder since and, where that is another, before; from the top, with /
	From, To crypto.PublicKey
}

// Vouching says whether the key before vouched for the one since.
type Vouching int

const (
	// NeverSigned: the formation's list was not signed yet, and nobody could say so.
	NeverSigned Vouching = iota
	Vouches
	VouchedForByNobody
)

// OfRotations judges rotations of the past by the lists of their commits, and by
// HEAD's, whose chain may have been signed in a commit of its own. Errors: what git
// says.
func OfRotations(ctx context.Context, repo gitutil.Repository, rotations []Rotation) ([]Vouching, error) {
	if len(rotations) == 0 {
		return nil, nil
	}
	files := make([][]gitutil.FileAt, len(rotations)) // the list of the commit, and those before
	var all []gitutil.FileAt
	for i, r := range rotations {
		files[i] = gitutil.FilesAt(append([]string{r.Commit, "HEAD"}, r.Parents...), path.Join(r.Dir, formation.RecipientsFile))
		if r.Was != "" {
			files[i] = append(files[i], gitutil.FilesAt(r.Parents, path.Join(r.Was, formation.RecipientsFile))...)
		}
		all = append(all, files[i]...)
	}

	lists, err := readLists(ctx, repo, all)
	if err != nil {
		return nil, err
	}
	vouching := make([]Vouching, len(rotations))
	for i, r := range rotations {
		own := lists[:len(files[i])]
		lists = lists[len(files[i]):]
		switch {
		case NewSuccession(own...).Leads(r.From, r.To):
			vouching[i] = Vouches
		case own[0].State >= Broken, slices.ContainsFunc(own[2:], func(l List) bool { return l.State >= Broken }):
			vouching[i] = VouchedForByNobody
		}
	}
	return vouching, nil
}

// readLists reads one list for each file; that of none where there is no such.
func readLists(ctx context.Context, repo gitutil.Repository, files []gitutil.FileAt) ([]List, error) {
	ids, err := repo.FileIDs(ctx, files)
	if err != nil {
		return nil, err
	}
	read := map[string]List{"": {}}
	var want []string
	for _, id := range ids {
		if _, known := read[id]; !known {
			read[id] = List{}
			want = append(want, id)
		}
	}

	err = repo.Blobs(ctx, want, func(id string, data []byte) error {
		read[id] = ReadList(bytes.Clone(data))
		return nil
	})
	lists := make([]List, len(ids))
	for i, id := range ids {
		lists[i] = read[id]
	}
	return lists, err
}
