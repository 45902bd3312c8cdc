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
//
// # What a key signs
//
// A key also has a signing half: HKDF-SHA256 (RFC 5869) over its secret part, with
// no salt and the label and format as info, is the seed of an Ed25519 key (RFC
// 8032). Its [PublicKey] and its signatures are published, and help nobody to
// find the key:
//
//   - A key holds 256 random bits, which no salt needs to be extracted from (RFC
//     5869, sections 3.1 and 3.3). What HKDF makes of it looks random to whoever
//     has not the key, whatever else was made of the same key under another label
//     (H. Krawczyk, "Cryptographic Extraction and Key Derivation: The HKDF
//     Scheme", CRYPTO 2010). Not even the seed leads back to the key, and neither
//     does the private scalar to the seed.
//   - Who guesses a key can check the guess against the public half. The same
//     person has secrets.enc, whose HMAC or header checks it for less work: one
//     HMAC over a short token, against four and a multiplication on the curve.
//   - The public half says nothing of an age identity's recipient: it is made of
//     the identity's text, not of its scalar, of which the recipient is the
//     public half.
//
// Ed25519 is no post-quantum signature. A quantum computer could sign as the key;
// it could not open what the key sealed.
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
