package commands

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/formation"
	"github.com/muxi-ai/git-muxi-secrets/hooks/history"
)

// dateStandings says since when each secret has the value it has in the work
// tree: git is asked once for all formations. Outside of a repository, and where
// git cannot say, nothing is known: that is no reason for status to fail.
func (s *session) dateStandings(ctx context.Context, formations []*formation.Formation, all []*standing) {
	ages, cut, err := s.ages(ctx, formations, all)
	for _, st := range all {
		st.Changed = map[string]string{}
		since := ages[st]
		for name, date := range since {
			if !date.IsZero() {
				st.Changed[name] = date.Format(time.RFC3339)
			}
		}
		if name, days := oldest(since, s.Now()); name != "" {
			st.oldest = fmt.Sprintf("%s, %s", name, plural(days, "day"))
		}
		if cut[st] { // and they are the oldest
			st.oldest = "not known (shallow clone)"
		}
		if vault := st.Vault(); err != nil && vault != nil && vault.Len() > 0 {
			st.oldest = "not known (" + s.explain(err).Lines[0] + ")"
		}
	}
}

// ages are those, and whether a shallow clone hides some of them.
func (s *session) ages(ctx context.Context, formations []*formation.Formation, all []*standing) (ages map[*standing]map[string]time.Time, cut map[*standing]bool, err error) {
	repo, err := s.repository()
	if err != nil || repo == nil || repo.Layout().Top == "" {
		return nil, nil, err
	}
	current := map[string]*formation.Vault{}
	label := map[*standing]string{}
	for i, st := range all {
		if vault := st.Vault(); vault != nil && vault.Len() > 0 {
			label[st] = s.fromTop(repo.Layout(), formations[i].Dir)
			current[label[st]] = vault
		}
	}
	if len(current) == 0 {
		return nil, nil, nil
	}
	progress := s.progress()
	defer progress.clear()
	past, err := history.Read(ctx, readingLog{repo, progress}, s.keys(), "", nil)
	if err != nil {
		return nil, nil, err
	}
	found, err := past.Ages(current, s.Now())
	if err != nil {
		return nil, nil, err
	}
	ages, cut = map[*standing]map[string]time.Time{}, map[*standing]bool{}
	for st, dir := range label {
		ages[st] = found[dir]
		cut[st] = len(past.AtLeast[dir]) > 0
	}
	return ages, cut, nil
}

// oldest is the name whose value is the oldest, and its age in days; "" where
// none is known.
func oldest(changed map[string]time.Time, now time.Time) (name string, days int) {
	for _, one := range slices.Sorted(maps.Keys(changed)) {
		if date := changed[one]; !date.IsZero() && (name == "" || date.Before(changed[name])) {
			name = one
		}
	}
	if name == "" {
		return "", 0
	}
	return name, max(0, int(now.Sub(changed[name]).Hours()/24))
}
