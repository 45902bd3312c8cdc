//go:build !unix

package gitutil

// ownedByUser: who owns a file on Windows is a matter of access lists and groups,
// which git alone judges, as soon as it is asked something.
func ownedByUser(string, func(string) string) bool { return true }
