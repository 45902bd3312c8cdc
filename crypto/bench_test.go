package crypto

import "testing"

const benchSize = 600_000 // about 10,000 secrets

func BenchmarkSeal(b *testing.B) {
	for _, f := range []Format{Fernet, Age} {
		b.Run(string(f), func(b *testing.B) {
			k, plaintext := mustGenerate(b, f), make([]byte, benchSize)
			b.SetBytes(benchSize)
			for b.Loop() {
				if _, err := k.Seal(plaintext); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, f := range []Format{Fernet, Age} {
		b.Run(string(f), func(b *testing.B) {
			k := mustGenerate(b, f)
			sealed := mustSeal(b, k, make([]byte, benchSize))
			b.SetBytes(benchSize)
			for b.Loop() {
				if _, err := k.Open(sealed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseKey(b *testing.B) {
	for _, f := range []Format{Fernet, Age} {
		b.Run(string(f), func(b *testing.B) {
			file := mustGenerate(b, f).File()
			for b.Loop() {
				if _, err := ParseKey(file); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What it costs to check a guess of a key: against a vault, and against the
// public half, which must not be the cheaper one.
func BenchmarkGuess(b *testing.B) {
	sealed := mustSeal(b, mustGenerate(b, Fernet), []byte("{}"))
	guess := mustGenerate(b, Fernet).m.fernet
	b.Run("vault", func(b *testing.B) {
		for b.Loop() {
			guess.open(sealed)
		}
	})
	b.Run("public half", func(b *testing.B) {
		for b.Loop() {
			newSigningHalf(Fernet, guess[:])
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	key := mustGenerate(b, Fernet)
	list := make([]byte, 512<<10)
	signature := key.SignPeople(list)
	for b.Loop() {
		if !key.Public().VerifyPeople(list, signature) {
			b.Fatal("it does not hold")
		}
	}
}
