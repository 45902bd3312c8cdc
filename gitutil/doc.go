// Package gitutil asks one Git repository the questions that a secret scanner
// and a hook installer have: what is staged, what a range of commits brings
// in, what the whole history holds, what is ignored, where hooks go.
//
// There are two backends behind one interface, Repository. The git executable is
// used where there is one on PATH, because only git itself reads every
// repository (SHA-256, reftable, split and sparse indexes, alternates, worktree
// configuration) and every setting. go-git answers where there is none, and
// refuses with an *UnsupportedError what it cannot read rather than guess. What
// changes a repository (Writer) needs git.
//
// A question starts a fixed number of processes, whatever the size of the
// repository: one for settings, paths and revisions, two for what is staged, a
// few for commits and for writing to the index. None of them runs a command
// that the repository's content or its own configuration names: no hook, filter,
// textconv, external diff or file-system monitor.
//
// Paths given to callbacks are relative to the top of the work tree, separated
// by '/', and hold the bytes that git stores: they may contain newlines,
// terminal escapes, and text that is not UTF-8.
package gitutil
