package formation

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/muxi-ai/git-muxi-secrets/crypto"
	"github.com/muxi-ai/git-muxi-secrets/crypto/cryptotest"
	"github.com/muxi-ai/git-muxi-secrets/formation/safefile"
	"github.com/muxi-ai/git-muxi-secrets/internal/needs"
)

// marker is a value that nothing may print.
const marker = "marker-value-51"

func newKey(t testing.TB, format crypto.Format) *crypto.Key {
	t.Helper()
	key, err := crypto.GenerateKey(format)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sealed makes a formation with a key and a vault of this plaintext.
func sealed(t *testing.T, format crypto.Format, plaintext string) (*Formation, *crypto.Key) {
	t.Helper()
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	key := newKey(t, format)
	token, err := key.Seal([]byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.Path(KeyFile), key.File())
	write(t, f.Path(VaultFile), token)
	return f, key
}

const oneSecret = `{"A": "` + marker + `"}`

func TestOpen(t *testing.T) {
	for _, format := range [...]crypto.Format{crypto.Fernet, crypto.Age} {
		f, key := sealed(t, format, oneSecret)
		o, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if value, ok, _ := o.Vault.Get("A"); !ok || value != marker || !o.Sealed || o.Key.Fingerprint() != key.Fingerprint() {
			t.Errorf("%s: opened as something else", format)
		}
	}
}

func TestOpenWithoutVault(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	write(t, f.Path(KeyFile), newKey(t, crypto.Fernet).File())
	o, err := f.Open()
	if err != nil || o.Sealed || o.Vault.Len() != 0 {
		t.Errorf("sealed %t, %v", o != nil && o.Sealed, err)
	}
}

func TestOpenMissingKey(t *testing.T) {
	for _, vault := range [...]bool{false, true} {
		f, _ := sealed(t, crypto.Fernet, oneSecret)
		if !vault {
			os.Remove(f.Path(VaultFile))
		}
		check := func(link string) {
			t.Helper()
			_, err := f.Open()
			var missing *NoKeyError
			if !errors.As(err, &missing) || missing.Vault != vault || missing.Link != link || missing.Dir != f.Dir {
				t.Errorf("vault %t, link %q: %v", vault, link, err)
			}
			if _, err := os.Stat(f.Path(KeyFile)); !errors.Is(err, fs.ErrNotExist) {
				t.Error("a key was made")
			}
		}
		os.Remove(f.Path(KeyFile))
		check("")
		needs.Link(t, "../keys/gone.key", f.Path(KeyFile))
		check("../keys/gone.key")
	}
}

func TestOpenBadKey(t *testing.T) {
	for about, test := range map[string]struct {
		key    string
		reason crypto.Reason
	}{
		"empty":         {"", crypto.EmptyKey},
		"blank":         {" \r\n", crypto.EmptyKey},
		"short":         {"QUJD", crypto.MalformedKey},
		"text":          {"this is no key at all\n", crypto.MalformedKey},
		"no padding":    {strings.Repeat("A", 43), crypto.MalformedKey},
		"comment above": {"# key\n" + strings.Repeat("A", 43) + "=", crypto.MalformedKey},
	} {
		f, _ := sealed(t, crypto.Fernet, oneSecret)
		write(t, f.Path(KeyFile), []byte(test.key))
		_, err := f.Open()
		var bad *KeyError
		if !errors.As(err, &bad) || crypto.ReasonOf(err) != test.reason || bad.Path != f.Path(KeyFile) {
			t.Errorf("%s: %v", about, err)
		}
		if key := strings.TrimSpace(test.key); key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error repeats the key file", about)
		}
	}
	f, _ := sealed(t, crypto.Fernet, oneSecret)
	write(t, f.Path(KeyFile), []byte(strings.Repeat("0f", 32)))
	if _, err := f.Open(); crypto.ReasonOf(err) != crypto.WrongKey {
		t.Errorf("another key, in hexadecimal: %v", err)
	}
}

func TestOpenBadVault(t *testing.T) {
	for _, format := range [...]crypto.Format{crypto.Fernet, crypto.Age} {
		f, _ := sealed(t, format, oneSecret)
		good, err := os.ReadFile(f.Path(VaultFile))
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)/2] ^= 1
		for about, test := range map[string]struct {
			content []byte
			reason  crypto.Reason
		}{
			"empty":         {nil, crypto.EmptyFile},
			"truncated":     {good[:len(good)-5], crypto.Truncated},
			"merge markers": {[]byte("<<<<<<< ours\n" + string(good) + "\n=======\n" + string(good) + "\n>>>>>>> theirs\n"), crypto.MergeMarkers},
			"JSON":          {[]byte(oneSecret), crypto.NotSealed},
			"text":          {[]byte("A=" + marker + "\n"), crypto.NotSealed},
		} {
			write(t, f.Path(VaultFile), test.content)
			_, err := f.Open()
			var bad *VaultError
			if !errors.As(err, &bad) || crypto.ReasonOf(err) != test.reason || bad.Path != f.Path(VaultFile) {
				t.Errorf("%s, %s: %v", format, about, err)
			} else if strings.Contains(err.Error(), marker) {
				t.Errorf("%s, %s: the error repeats a value", format, about)
			}
		}
		write(t, f.Path(VaultFile), flipped)
		var bad *VaultError
		if _, err := f.Open(); !errors.As(err, &bad) || crypto.ReasonOf(err) == "" {
			t.Errorf("%s, flipped: %v", format, err)
		}
		write(t, f.Path(VaultFile), good)
		write(t, f.Path(KeyFile), newKey(t, format).File())
		if _, err := f.Open(); crypto.ReasonOf(err) != crypto.WrongKey {
			t.Errorf("%s, wrong key: %v", format, err)
		}
	}
}

func TestOpenBadContent(t *testing.T) {
	for _, plaintext := range [...]string{"", "[]", "{", "\ufeff{}", `["` + marker + `"]`, marker, "{\"A\": \"" + marker + "\xff\"}"} {
		f, _ := sealed(t, crypto.Fernet, plaintext)
		_, err := f.Open()
		var bad *VaultError
		var content *ContentError
		if !errors.As(err, &bad) || !errors.As(err, &content) {
			t.Errorf("%v", err)
		} else if strings.Contains(err.Error(), marker) {
			t.Error("the error repeats a value")
		}
	}
}

func TestOpenNoFile(t *testing.T) {
	for _, name := range [...]string{KeyFile, VaultFile} {
		f, _ := sealed(t, crypto.Fernet, oneSecret)
		os.Remove(f.Path(name))
		if err := os.Mkdir(f.Path(name), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := f.Open()
		var file *safefile.Error
		if !errors.As(err, &file) || file.Op != "read" || file.Path != f.Path(name) || !errors.Is(err, safefile.ErrIsFolder) {
			t.Errorf("%s is a folder: %v", name, err)
		}
	}
	f, _ := sealed(t, crypto.Fernet, oneSecret)
	os.Remove(f.Path(VaultFile))
	needs.Link(t, "gone.enc", f.Path(VaultFile))
	_, err := f.Open()
	var file *safefile.Error
	if !errors.As(err, &file) || !strings.Contains(file.Cause(), "gone.enc") {
		t.Errorf("a broken link: %v", err)
	}
	write(t, f.Path("gone.enc"), nil)
	if err := os.Truncate(f.Path("gone.enc"), maxVaultFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(); !errors.As(err, &file) || file.Path != f.Path(VaultFile) {
		t.Errorf("a huge vault: %v", err)
	}
}

func TestOpenLinkedKey(t *testing.T) {
	f, key := sealed(t, crypto.Fernet, oneSecret)
	elsewhere := filepath.Join(t.TempDir(), "k")
	if err := os.Rename(f.Path(KeyFile), elsewhere); err != nil {
		t.Fatal(err)
	}
	needs.Link(t, elsewhere, f.Path(KeyFile))
	o, err := f.Open()
	if err != nil || o.Key.Fingerprint() != key.Fingerprint() {
		t.Errorf("%v", err)
	}
}

// Saving writes only when the content changed, whoever wrote it before and
// however it was spelled.
func TestSave(t *testing.T) {
	for _, plaintext := range [...]string{
		oneSecret, `{"A":"` + marker + `"}`, "{\n  \"A\": \"" + marker + "\"\n}", `{"A": "x", "A": "` + marker + `"}`, `{"A": "\u006d` + marker[1:] + `"}`,
	} {
		f, _ := sealed(t, crypto.Fernet, plaintext)
		before, _ := os.ReadFile(f.Path(VaultFile))
		save := func(change func(*Vault)) bool {
			t.Helper()
			o, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			change(o.Vault)
			batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
			defer batch.Discard()
			changed, err := o.Save(batch)
			if err != nil {
				t.Fatal(err)
			}
			if (changed != nil) != (batch.Len() == 1) {
				t.Errorf("changed %t, %d files", changed != nil, batch.Len())
			}
			if err := batch.Commit(); err != nil {
				t.Fatal(err)
			}
			return changed != nil
		}
		if save(func(*Vault) {}) || save(func(v *Vault) { v.Set("B", "b"); v.Delete("B"); v.Set("A", marker) }) {
			t.Error("the same content was saved again")
		}
		if after, _ := os.ReadFile(f.Path(VaultFile)); !bytes.Equal(before, after) {
			t.Error("the bytes changed with the same content")
		}
		if !save(func(v *Vault) { v.Set("B", "b") }) {
			t.Error("a new name was not saved")
		}
		info, err := os.Stat(f.Path(VaultFile))
		if err != nil || !safefile.OnWindows && info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if save(func(v *Vault) { v.Set("B", "b") }) {
			t.Error("what was just saved was saved again")
		}
	}
}

func TestSaveFirst(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	write(t, f.Path(KeyFile), newKey(t, crypto.Fernet).File())
	o, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
	defer batch.Discard()
	if changed, err := o.Save(batch); changed == nil || err != nil {
		t.Fatalf("an empty vault where there is none: %t, %v", changed != nil, err)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	if o, err = f.Open(); err != nil || !o.Sealed {
		t.Errorf("%v", err)
	}
}

// The MUXI runtime reads what we save, we read what it writes.
func TestSaveAgreesWithPython(t *testing.T) {
	python := cryptotest.Python(t)
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	python.WriteFormation(t, f.Dir, nil, map[string]string{"A": "é\U0001f511\x01", "B": ""})
	o, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"A": "é\U0001f511\x01", "B": ""}
	for i, value := range awkward() {
		name := "N" + strings.Repeat("I", i+1)
		o.Vault.Set(name, value)
		want[name] = value
	}
	batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
	defer batch.Discard()
	if _, err := o.Save(batch); err != nil {
		t.Fatal(err)
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	got, class := python.ReadFormation(t, f.Dir)
	if class != "" || len(got) != len(want) {
		t.Fatalf("python: %d names, %s", len(got), class)
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("python reads another %s", name)
		}
	}
}

func TestPlanTemplate(t *testing.T) {
	vault := NewVault()
	vault.Set("STORED", "x")
	vault.Set("old-name", "x") // as an older tool stored it
	vault.Set("---", "x")      // no template can hold it
	refs := "a: ${{ secrets.USED }}\nb: ${{ secrets.lower }}\nc: ${{ secrets.MAYBE || '' }}\nd: ${{ user.credentials.x }}\n"
	const full = "LOWER=\nMAYBE=\nOLD_NAME=\nSTORED=\nUSED=\nUSER_CREDENTIALS_X=\n"
	holds := func(name, value string) *Vault {
		vault := NewVault()
		vault.Set(name, value)
		return vault
	}
	for _, test := range [...]struct {
		about, before, refs string
		vault               *Vault
		state               TemplateState
		after, changes      string
	}{
		{"absent", "", refs, vault, TemplateMissing, full, "+LOWER +MAYBE +OLD_NAME +STORED +USED +USER_CREDENTIALS_X"},
		{"current", full, refs, vault, TemplateCurrent, full, ""},
		{"stale", full + "ZZZ=\n", refs, vault, TemplateStale, full, "-ZZZ"},
		{"without the key nothing is dropped", "ZZZ=\n", "a: ${{ secrets.USED }}\n", nil, TemplateStale, "USED=\nZZZ=\n", "+USED"},
		{"without the key, current", "USED=\nZZZ=\n", "a: ${{ secrets.USED }}\n", nil, TemplateCurrent, "USED=\nZZZ=\n", ""},
		{"a value that stands nowhere else", "USED=hunter2-hunter2\n", "a: ${{ secrets.USED }}\n", nil, TemplateCurrent, "USED=hunter2-hunter2\n", ""},
		{"another value than the stored one", "STORED=hunter2-hunter2\n", "a: ${{ secrets.STORED }}\n", holds("STORED", "x"), TemplateCurrent, "STORED=hunter2-hunter2\n", ""},
		{"the stored value", "STORED=hunter2-hunter2\n", "a: ${{ secrets.STORED }}\n", holds("STORED", "hunter2-hunter2"), TemplateStale, "STORED=\n", ""},
		{"a value that nothing explains", "# mine\nZZZ=hunter2-hunter2\n", "", NewVault(), TemplateCurrent, "# mine\nZZZ=hunter2-hunter2\n", ""},
		{"nothing at all", "", "", NewVault(), TemplateCurrent, "", ""},
		{"nothing left", "A=\n", "", NewVault(), TemplateStale, "", "-A"},
	} {
		f := makeFormation(t, map[string]string{"formation.afs": test.refs})
		if test.before != "" {
			write(t, f.Path(TemplateFile), []byte(test.before))
		}
		survey, err := f.Survey()
		if err != nil {
			t.Fatal(err)
		}
		plan, err := f.PlanTemplate(survey, test.vault, nil)
		if err != nil {
			t.Fatal(err)
		}
		if plan.State != test.state || string(plan.Content) != test.after || plan.Changes() != test.changes {
			t.Errorf("%s: %s, %q, %q", test.about, plan.State, plan.Content, plan.Changes())
		}
		batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
		changed, err := plan.Apply(batch)
		if err != nil || changed != (test.state != TemplateCurrent) {
			t.Errorf("%s: changed %t, %v", test.about, changed, err)
		}
		if err := batch.Commit(); err != nil {
			t.Fatal(err)
		}
		onDisk, err := os.ReadFile(f.Path(TemplateFile))
		if string(onDisk) != test.after || (err != nil) != (test.after == "") {
			t.Errorf("%s: on disk %q, %v", test.about, onDisk, err)
		}
	}
}

func TestPlanTemplateKeepsMode(t *testing.T) {
	if safefile.OnWindows {
		return
	}
	f := makeFormation(t, map[string]string{"formation.afs": "a: ${{ secrets.A }}\n"})
	for _, mode := range [...]fs.FileMode{0o644, 0o640, 0o664} {
		write(t, f.Path(TemplateFile), []byte("B=\n"))
		if err := os.Chmod(f.Path(TemplateFile), mode); err != nil {
			t.Fatal(err)
		}
		survey, err := f.Survey()
		if err != nil {
			t.Fatal(err)
		}
		plan, err := f.PlanTemplate(survey, NewVault(), nil)
		if err != nil {
			t.Fatal(err)
		}
		batch := safefile.Files{}.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: filepath.Join(t.TempDir(), "journal")})
		if _, err := plan.Apply(batch); err != nil {
			t.Fatal(err)
		}
		if err := batch.Commit(); err != nil {
			t.Fatal(err)
		}
		if got := modeOf(t, f.Path(TemplateFile)); got != mode {
			t.Errorf("mode %v, was %v", got, mode)
		}
	}
}

func TestAsideName(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": ""})
	now := time.Date(2024, 5, 6, 7, 8, 9, 0, time.FixedZone("", 3600))
	for _, want := range [...]string{"secrets.enc.old-20240506-060809", "secrets.enc.old-20240506-060809-2", "secrets.enc.old-20240506-060809-3"} {
		name, err := f.AsideName(VaultFile, now)
		if err != nil || name != want {
			t.Errorf("%q, %v", name, err)
		}
		write(t, f.Path(name), nil)
	}
}

func TestFolders(t *testing.T) {
	f := makeFormation(t, map[string]string{"formation.afs": "", "secrets": "A=\n"})
	if got := f.Folders(); len(got) != 1 || got[0] != f.Dir {
		t.Errorf("%q", got)
	}
	elsewhere := makeFiles(t, map[string]string{"k": ""})
	needs.Link(t, filepath.Join(elsewhere, "k"), f.Path(KeyFile))
	if got := f.Folders(); len(got) != 2 || got[1] != elsewhere {
		t.Errorf("%q", got)
	}
}

// rekey seals a formation's vault with another key, both in one batch.
func rekey(f *Formation, files safefile.Files, journal string) error {
	opened, err := f.Open()
	if err != nil {
		return err
	}
	key, err := crypto.GenerateKey(crypto.Fernet)
	if err != nil {
		return err
	}
	token, err := key.Seal(opened.Vault.Encode())
	if err != nil {
		return err
	}
	b := files.Batch(safefile.Place{Folders: []string{f.Dir}, Journal: journal})
	defer b.Discard()
	if err := b.Replace(f.Path(VaultFile), token, 0o600); err != nil {
		return err
	}
	if err := b.Replace(f.Path(KeyFile), key.File(), 0o600); err != nil {
		return err
	}
	return b.Commit()
}

// Whoever reads while rotations go on opens one of the states, never a mixture.
func TestOpenWhileRotating(t *testing.T) {
	f, _ := sealed(t, crypto.Fernet, oneSecret)
	journal := filepath.Join(t.TempDir(), "journal")
	stop := make(chan struct{})
	done := make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			// A slow disk: the window between vault and key is open for long.
			err := rekey(f, safefile.Files{Fault: func(step safefile.Step, path string) error {
				if step == safefile.StepRename && filepath.Base(path) == KeyFile {
					time.Sleep(20 * time.Millisecond)
				}
				return nil
			}}, journal)
			if err != nil {
				done <- err
				return
			}
			time.Sleep(20 * time.Millisecond) // nobody rotates without a pause
		}
	}()
	seen := map[string]bool{}
	for range 100_000 {
		if len(seen) > 5 {
			break
		}
		opened, err := f.Open()
		if err != nil {
			t.Error(err)
			break
		}
		seen[opened.Key.Fingerprint()] = true
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 && !t.Failed() {
		t.Error("nothing was rotated meanwhile")
	}
}

// A key that does not fit is said at once where nobody writes, and in the end
// where a killed writer left a temp file.
func TestOpenWrongKeyBesideLeftover(t *testing.T) {
	f, _ := sealed(t, crypto.Fernet, oneSecret)
	write(t, f.Path(KeyFile), newKey(t, crypto.Fernet).File())
	for range 2 {
		_, err := f.Open()
		var vault *VaultError
		if !errors.As(err, &vault) || crypto.ReasonOf(err) != crypto.WrongKey {
			t.Errorf("%v", err)
		}
		write(t, f.Path(strings.TrimSuffix(safefile.TempPattern, "*")+"0"), nil)
	}
}
