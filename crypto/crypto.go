// Package crypto makes keys and sealed bytes: what is inside a formation's
// .key and secrets.enc. It knows no file layout, reads no file and prints
// nothing.
//
// Two formats exist. A Fernet token is what the MUXI runtime reads and writes;
// an armored age file is for teams that do not need the runtime to open the
// vault itself. Both are authenticated: what [Key.Open] returns is what
// [Key.Seal] was given, or there is an error.
//
// Writing is strict, one spelling per format. Reading a Fernet key or token is
// exactly as lenient as Python's cryptography package, because that is what the
// runtime uses: a file that loads there loads here, with the same plaintext,
// and a file that is refused there is refused here. The one exception is a key
// of 64 hexadecimal characters, see [Key.Legacy].
package crypto

// Format names how bytes are sealed.
type Format string

const (
	// Fernet is the format of the MUXI runtime: AES-128-CBC with HMAC-SHA256,
	// https://github.com/fernet/spec/blob/master/Spec.md.
	Fernet Format = "fernet"
	// Age is https://age-encryption.org/v1, armored.
	Age Format = "age"
)
