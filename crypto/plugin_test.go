package crypto

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// The test binary is a plugin where it is called like one.
func TestMain(m *testing.M) {
	if name, ok := strings.CutPrefix(filepath.Base(os.Args[0]), "age-plugin-"); ok {
		os.Exit(pluginMain(name))
	}
	os.Exit(m.Run())
}

// pluginMain behaves as its name says.
func pluginMain(name string) int {
	switch name {
	case "dies":
		return 1
	case "babbles":
		fmt.Println("-> file-key 0\nThis is no base64, but it may hold a key")
		io.Copy(io.Discard, os.Stdin)
		return 0
	}
	p, err := plugin.New(name)
	if err != nil {
		return 1
	}
	fake := &fakePlugin{p, name}
	p.HandleRecipient(func([]byte) (age.Recipient, error) { return fake, nil })
	p.HandleIdentityEncoding(func(identity string) (age.Identity, error) {
		if name == "echoes" {
			return nil, fmt.Errorf("bad identity %s", strings.ToLower(identity))
		}
		return fake, nil
	})
	switch os.Args[1] {
	case "--age-plugin=recipient-v1":
		return p.RecipientV1()
	case "--age-plugin=identity-v1":
		return p.IdentityV1()
	}
	return 1
}

type fakePlugin struct {
	*plugin.Plugin
	name string
}

func (f *fakePlugin) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	stanzas, _, err := f.WrapWithLabels(fileKey)
	return stanzas, err
}

func (f *fakePlugin) WrapWithLabels(fileKey []byte) ([]*age.Stanza, []string, error) {
	if f.name == "fails" {
		return nil, nil, errors.New("the device is \x1b[2Jnot there\nat all")
	}
	var labels []string
	switch f.name {
	case "quantum":
		labels = []string{"postquantum"}
	case "alone":
		labels = []string{"alone"}
	}
	body := slices.Clone(fileKey)
	slices.Reverse(body)
	return []*age.Stanza{{Type: f.name, Args: []string{"x"}, Body: body}}, labels, nil
}

func (f *fakePlugin) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != f.name {
			continue
		}
		if f.name == "asks" {
			if err := f.ask(); err != nil {
				return nil, err
			}
		}
		body := slices.Clone(s.Body)
		slices.Reverse(body)
		return body, nil
	}
	return nil, age.ErrIncorrectIdentity
}

func (f *fakePlugin) ask() error {
	if err := f.DisplayMessage("insert\x1b the key"); err != nil {
		return err
	}
	pin, err := f.RequestValue("PIN", true)
	if err != nil {
		return err
	}
	if pin != "1234-secret-pin" {
		return fmt.Errorf("the PIN %s is wrong", pin)
	}
	if yes, err := f.Confirm("touch it", "Yes", "No"); err != nil || !yes {
		return errors.New("not confirmed")
	}
	return nil
}

// installPlugins puts the fake plugins on PATH.
func installPlugins(t *testing.T, names ...string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs symbolic links")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, "age-plugin-"+name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("AGEDEBUG", "")
}

func pluginPair(t *testing.T, name string) (*Recipient, *Identity) {
	t.Helper()
	identity := plugin.EncodeIdentity(name, []byte("an identity"))
	return mustRecipient(t, plugin.EncodeRecipient(name, []byte("data"))), mustIdentities(t, []byte("# serial 1\n"+identity), nil, "hardware.txt")[0]
}

// pinTalk answers as the plugin wants, or not.
func pinTalk(pin string, yes bool) (*Talk, *[]string) {
	said := new([]string)
	return &Talk{
		Message: func(plugin, text string) error {
			*said = append(*said, plugin+": "+text)
			return nil
		},
		Ask: func(plugin, prompt string, secret bool) (string, error) {
			*said = append(*said, fmt.Sprint(plugin, ": ", prompt, " ", secret))
			return pin, nil
		},
		Confirm: func(plugin, prompt, y, n string) (bool, error) {
			*said = append(*said, plugin+": "+prompt+" "+y+" "+n)
			return yes, nil
		},
	}, said
}

func TestPlugins(t *testing.T) {
	installPlugins(t, "plain", "asks")
	plain, plainKey := pluginPair(t, "plain")
	asks, asksKey := pluginPair(t, "asks")
	anna, annasKey := person(t, "anna")
	wrapped := mustWrap(t, "k", anna, plain, asks)

	for _, tc := range []struct {
		with  []*Identity
		which *Identity
	}{
		{[]*Identity{plainKey}, plainKey}, {[]*Identity{asksKey, plainKey, annasKey}, annasKey}, {[]*Identity{plainKey, asksKey}, plainKey},
	} {
		if got, which, err := Unwrap(wrapped, tc.with, nil); err != nil || string(got) != "k" || which != tc.which {
			t.Errorf("%v: %v %v", tc.with, which, err)
		}
	}
	talk, said := pinTalk("1234-secret-pin", true)
	if _, _, err := Unwrap(wrapped, []*Identity{asksKey}, talk); err != nil {
		t.Error(err)
	}
	if want := []string{"asks: insert the key", "asks: PIN true", "asks: touch it Yes No"}; !slices.Equal(*said, want) {
		t.Errorf("said %q", *said)
	}
	if _, _, err := Unwrap(wrapped, []*Identity{asksKey}, nil); ReasonOf(err) != NeedsPerson {
		t.Errorf("nobody there: %v", err)
	}
	if _, _, err := Unwrap(mustWrap(t, "k", anna), []*Identity{asksKey, plainKey}, nil); ReasonOf(err) != NoIdentity {
		t.Errorf("not for them: %v", err)
	}
	talk, _ = pinTalk("0000-other-pin", true)
	_, _, err := Unwrap(wrapped, []*Identity{asksKey}, talk)
	if e, ok := errors.AsType[*PluginError](err); !ok || ReasonOf(err) != NoIdentity || e.Plugin != "asks" {
		t.Errorf("a wrong PIN: %v", err)
	}
	if strings.Contains(fmt.Sprint(err), "0000") {
		t.Error("the error repeats the PIN")
	}
	talk, _ = pinTalk("1234-secret-pin", false)
	_, _, err = Unwrap(wrapped, []*Identity{asksKey}, talk)
	if e, ok := errors.AsType[*PluginError](err); !ok || e.Text != "not confirmed" {
		t.Errorf("not confirmed: %v", err)
	}
	stop := errors.New("interrupted")
	talk.Ask = func(string, string, bool) (string, error) { return "", stop }
	if _, _, err = Unwrap(wrapped, []*Identity{asksKey, plainKey}, talk); !errors.Is(err, stop) {
		t.Errorf("interrupted: %v", err)
	}
	for what, mute := range map[string]func(*Talk){"ask": func(t *Talk) { t.Ask = nil }, "confirm": func(t *Talk) { t.Confirm = nil }} {
		half, _ := pinTalk("1234-secret-pin", true)
		mute(half)
		if _, _, err = Unwrap(wrapped, []*Identity{asksKey}, half); ReasonOf(err) != NeedsPerson {
			t.Errorf("nobody to %s: %v", what, err)
		}
	}
	t.Setenv("AGEDEBUG", "plugin")
	if _, _, err = Unwrap(wrapped, []*Identity{plainKey}, nil); err == nil {
		t.Error("run while its client prints keys")
	}
	if _, err = Wrap([]byte("k"), []*Recipient{plain}, nil); err == nil {
		t.Error("run while its client prints keys")
	}
}

// A plugin's name becomes that of a program.
func TestPluginNames(t *testing.T) {
	for name, want := range map[string]bool{
		"yubikey": true, "se-2": true, "fido2.hmac": true, "a_b+c": true, "z9": true, strings.Repeat("a", 64): true,
		"": false, ".hidden": false, "-x": false, "a/b": false, `a\b`: false, "a:b": false, "A": false, "a b": false, "ä": false, "`": false, "{": false, strings.Repeat("a", 65): false,
	} {
		if got := isPluginName(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestPluginErrors(t *testing.T) {
	installPlugins(t, "plain", "fails", "dies", "babbles", "echoes")
	anna, _ := person(t, "anna")
	for name, tc := range map[string]struct {
		plugin  string
		missing bool
		text    string
		says    string
	}{
		"not installed": {"absent", true, "", "there is no 'age-plugin-absent' on PATH"},
		"its own words": {"fails", false, "the device is [2Jnot there at all", "'age-plugin-fails' failed: the device is [2Jnot there at all"},
		"dies":          {"dies", false, "", "'age-plugin-dies' failed"},
		"babbles":       {"babbles", false, "", "'age-plugin-babbles' failed"},
	} {
		r, id := pluginPair(t, tc.plugin)
		_, err := Wrap([]byte("k"), []*Recipient{anna, r}, nil)
		wrap, ok := errors.AsType[*WrapError](err)
		e, isPlugin := errors.AsType[*PluginError](err)
		if !ok || wrap.Recipient != r || !isPlugin || e.Plugin != tc.plugin || e.Missing != tc.missing || e.Text != tc.text || e.Error() != tc.says {
			t.Errorf("%s: wrapping: %v", name, err)
		}
		if tc.plugin == "fails" {
			continue
		}
		_, _, err = Unwrap(mustWrap(t, "k", anna), []*Identity{id}, nil)
		if e, ok := errors.AsType[*PluginError](err); !ok || ReasonOf(err) != NoIdentity || e.Missing != tc.missing || e.Text != tc.text {
			t.Errorf("%s: unwrapping: %v", name, err)
		}
	}
	_, id := pluginPair(t, "echoes")
	_, _, err := Unwrap(mustWrap(t, "k", anna), []*Identity{id}, nil)
	secret := plugin.EncodeIdentity("echoes", []byte("an identity"))
	if err == nil || strings.Contains(strings.ToUpper(err.Error()), secret) {
		t.Error("the error repeats the identity")
	}
}

func TestPluginLabels(t *testing.T) {
	installPlugins(t, "plain", "quantum", "alone")
	quantum, quantumKey := pluginPair(t, "quantum")
	alone, aloneKey := pluginPair(t, "alone")
	plain, _ := pluginPair(t, "plain")
	anna, _ := person(t, "anna")
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	pq := mustRecipient(t, id.Recipient().String())
	for name, tc := range map[string]struct {
		to               []*Recipient
		quantum, classic int
	}{
		"plugin and classic": {[]*Recipient{anna, quantum, anna}, 1, 2},
		"classic plugin":     {[]*Recipient{pq, plain}, 1, 1},
		"plugins":            {[]*Recipient{plain, quantum, quantum}, 2, 1},
	} {
		_, err := Wrap([]byte("k"), tc.to, nil)
		if e, ok := errors.AsType[*MixedRecipientsError](err); !ok || e.PostQuantum != tc.quantum || e.Classic != tc.classic {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := Unwrap(mustWrap(t, "k", quantum, pq), []*Identity{quantumKey}, nil); err != nil {
		t.Error(err)
	}
	if _, _, err := Unwrap(mustWrap(t, "k", alone), []*Identity{aloneKey}, nil); err != nil {
		t.Error(err)
	}
	_, err = Wrap([]byte("k"), []*Recipient{anna, alone}, nil)
	if e, ok := errors.AsType[*WrapError](err); !ok || e.Recipient != alone {
		t.Errorf("one that wants to be alone: %v", err)
	}
}
