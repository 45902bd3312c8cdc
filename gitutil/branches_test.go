package gitutil

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestBranches(t *testing.T) {
	r := newRepo(t)
	branches := func(repo Repository) (string, error) {
		refs, err := repo.Branches(context.Background())
		var out []string
		for _, ref := range refs {
			out = append(out, ref.Name+" "+ref.ID)
		}
		return lines(out...), err
	}
	r.both(false, "", branches)

	r.write("v", "1")
	one := r.commit("one")
	r.git("branch", "a/b")
	r.git("tag", "v1")
	r.git("update-ref", "refs/notes/x", one)
	r.git("update-ref", "refs/remotes/origin/main", one)
	r.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
	r.git("symbolic-ref", "refs/remotes/gone/HEAD", "refs/remotes/gone/main")
	r.write("v", "2")
	two := r.commit("two")
	r.git("pack-refs", "--all")
	r.git("branch", "-f", "a/b", two)
	want := lines("refs/heads/a/b "+two, "refs/heads/main "+two, "refs/remotes/origin/main "+one)
	r.both(false, want, branches)
}

func TestFileIDs(t *testing.T) {
	r := newRepo(t)
	const odd = "a b/ö:\nmissing"
	r.write("dir/v", "one")
	r.write(odd, "odd")
	one := r.commit("one")
	r.write("dir/v", "two")
	r.link("link", "dir/v")
	two := r.commit("two")
	r.remove("dir/v")
	three := r.commit("three")
	r.git("tag", "v1", two)
	commits := []string{one, two, three, strings.Repeat("1", 40), "HEAD", "v1", "nothing"}

	for path, want := range map[string][]string{
		"dir/v":   {"one", "two", "-", "-", "-", "two", "-"},
		odd:       {"odd", "odd", "odd", "-", "odd", "odd", "-"},
		"link":    {"-", "dir/v", "dir/v", "-", "dir/v", "dir/v", "-"},
		"dir":     {"-", "-", "-", "-", "-", "-", "-"},
		"nothing": {"-", "-", "-", "-", "-", "-", "-"},
		"v":       {"-", "-", "-", "-", "-", "-", "-"},
	} {
		r.both(false, fmt.Sprint(want), func(repo Repository) (string, error) {
			ids, err := repo.FileIDs(context.Background(), FilesAt(commits, path))
			var out []string
			for _, id := range ids {
				content := "-"
				if id != "" {
					err = repo.Blobs(context.Background(), []string{id}, func(_ string, data []byte) error {
						content = string(data)
						return nil
					})
				}
				out = append(out, content)
			}
			return fmt.Sprint(out), err
		})
	}
	r.both(false, "[]", func(repo Repository) (string, error) {
		ids, err := repo.FileIDs(context.Background(), nil)
		return fmt.Sprint(ids), err
	})
	r.both(false, "true true true", func(repo Repository) (string, error) {
		files := []FileAt{{one, "dir/v"}, {two, odd}, {two, "nothing"}, {three, odd}}
		ids, err := repo.FileIDs(context.Background(), files)
		if err != nil {
			return "", err
		}
		return fmt.Sprint(ids[0] != "", ids[1] != "" && ids[1] == ids[3], ids[2] == ""), nil
	})
}
