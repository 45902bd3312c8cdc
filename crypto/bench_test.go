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
