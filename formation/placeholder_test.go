package formation

import "testing"

func TestIsPlaceholder(t *testing.T) {
	for _, value := range [...]string{
		"", " ", "\t", "...", "sk-...", "sk-abc123...", "ghp_...", "BSA...", "key…", "x", "xxx", "XXXX", "***", "****", "---", "__",
		"<token>", "<your key here>", "<>", "$VAR", "$_V1", "${VAR}", "${VAR:-}", "your-key-here", "YOUR_API_KEY", "your key", "REPLACE_ME", "replace-with-key",
		"changeme", "CHANGE_ME", "change-me", "example", "Dummy", "DUMMY_VALUE", "null", "None", "todo", "TBD", "placeholder", "insert-key", "enter_key_here",
		"sk-xxxxxxxx", "ghp_XXXX", "sk-****", " sk-... ", "long-prefix-xxx",
	} {
		if !IsPlaceholder(value) {
			t.Errorf("%q is a placeholder", value)
		}
	}
	for _, value := range [...]string{
		"hunter2-hunter2", "test-admin-key-123", "sk-abc123", "...sk-abc", "a...b", "..x", "x1", "xxy", "<a", "a>", "$", "$5", "$9lives", "$lower", "$A-B", "${A}b", "${A}${B}",
		"${{ secrets.A }}", "local", "true", "yours", "examples", "password1", "correct horse battery staple", "nullify", "sk-", "sk-xx", "*x*", "a-very-long-prefix-xxx", "long--prefix-xxx",
	} {
		if IsPlaceholder(value) {
			t.Errorf("%q is no placeholder", value)
		}
	}
}

func FuzzIsPlaceholder(f *testing.F) {
	for _, seed := range [...]string{"", "sk-...", "$", "${", "<", "-", "a-xxx", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if IsPlaceholder(value) != IsPlaceholder(" "+value+"\t") {
			t.Fatalf("%q: blanks around it decide", value)
		}
	})
}

func TestIsSample(t *testing.T) {
	for key, want := range map[string]bool{
		"sk-abcdefghijklmnopqrstuvwxyz": true, "ghp_1234567890abcdef": true, "sk-your-key-goes": true, "AKIA" + "IOSFODNN7EXAMPLE": true,
		"sk-aaaaaaaaaaaa": true, "hf_yourTokenHere": true, "re_00000000": true, "sk-dummy-1": true, "pcsk_ABCDEFGH": true,
		"ghp_" + "abcdEFGHijklMNOPqrstUVWXyz0123456789": false, "sk-1234567890abcdef1234567890abcdef": true,
		"sk-a8Kd02mXq9": false, "sk-abcd1234efgh": false, "sk-adummyb": false,
	} {
		if got := IsSample(key); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
}
