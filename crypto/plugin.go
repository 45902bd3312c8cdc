package crypto

import (
	"errors"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// Talk is how a person is asked. Where a function is nil, or the whole Talk,
// nobody is there: what needs it is passed over, or fails with [NeedsPerson].
// An error that a function returns ends [Wrap] and [Unwrap], which return it.
type Talk struct {
	// Passphrase asks for the passphrase of a file, a locked SSH key or an age
	// identity file. of is its [Identity.Source].
	Passphrase func(of string) ([]byte, error)
	// Message shows what a plugin says, "touch your key".
	Message func(plugin, text string) error
	// Ask asks what a plugin wants to know, a PIN for example, which is secret.
	Ask func(plugin, prompt string, secret bool) (string, error)
	// Confirm asks for one of two answers; no is "" where there is but one.
	Confirm func(plugin, prompt, yes, no string) (bool, error)
}

// PluginError says why an age plugin did not do its work.
type PluginError struct {
	Plugin  string // its name, without age-plugin-
	Missing bool   // there is no program age-plugin-NAME on PATH
	Text    string // what the plugin said, on one line, or ""
}

func (e *PluginError) Error() string {
	switch {
	case e.Missing:
		return "there is no 'age-plugin-" + e.Plugin + "' on PATH"
	case e.Text != "":
		return "'age-plugin-" + e.Plugin + "' failed: " + e.Text
	}
	return "'age-plugin-" + e.Plugin + "' failed"
}

// conversation is one run of a plugin. The client drops the errors of the
// functions it calls, so they are kept here.
type conversation struct {
	talk   *Talk
	err    error  // of a function of talk
	nobody bool   // a question had nobody to answer it
	secret string // never to be repeated
}

func (c *conversation) ui() *plugin.ClientUI {
	talk := c.talk
	if talk == nil {
		talk = &Talk{}
	}
	return &plugin.ClientUI{
		DisplayMessage: func(name, text string) error {
			if talk.Message == nil {
				return c.unanswered()
			}
			return c.keep(talk.Message(name, Printable(text)))
		},
		RequestValue: func(name, prompt string, secret bool) (string, error) {
			if talk.Ask == nil {
				return "", c.unanswered()
			}
			answer, err := talk.Ask(name, Printable(prompt), secret)
			if secret {
				c.secret = answer
			}
			return answer, c.keep(err)
		},
		Confirm: func(name, prompt, yes, no string) (bool, error) {
			if talk.Confirm == nil {
				return false, c.unanswered()
			}
			ok, err := talk.Confirm(name, Printable(prompt), Printable(yes), Printable(no))
			return ok, c.keep(err)
		},
	}
}

func (c *conversation) keep(err error) error {
	if err != nil && c.err == nil {
		c.err = err
	}
	return err
}

var errNobody = errors.New("nobody to ask")

func (c *conversation) unanswered() error {
	c.nobody = true
	return errNobody
}

// failure turns the client's error into one that can be shown.
func (c *conversation) failure(name, identity string, err error) error {
	if c.err != nil {
		return c.err
	}
	if c.nobody {
		return &Error{NeedsPerson, "'age-plugin-" + name + "' has a question", nil}
	}
	if _, ok := errors.AsType[*plugin.NotFoundError](err); ok {
		return &PluginError{Plugin: name, Missing: true}
	}
	return &PluginError{Plugin: name, Text: c.ownWords(err, identity)}
}

// ownWords returns what the plugin itself gave as its error, or "". The client's
// errors quote lines that they could not read, and a key may be in one.
func (c *conversation) ownWords(err error, identity string) string {
	said := errors.Unwrap(err) // below the plugin's name
	if said == nil || errors.Unwrap(said) != nil {
		return ""
	}
	for _, quoting := range [...]string{"malformed ", "received ", "repeated labels", "invalid stanza", "invalid plugin"} {
		if strings.HasPrefix(said.Error(), quoting) {
			return ""
		}
	}
	text := Printable(said.Error())
	for _, secret := range [...]string{identity, c.secret} {
		if secret != "" && strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			return ""
		}
	}
	const most = 200
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// mayRunPlugins is false where the client would write keys to stderr.
func mayRunPlugins() bool { return os.Getenv("AGEDEBUG") != "plugin" }

func debuggedPlugin(name string) error {
	return &PluginError{Plugin: name, Text: "it is not run while AGEDEBUG=plugin is set, which prints keys"}
}

func wrapWithPlugin(r *Recipient, fileKey []byte, talk *Talk) ([]*age.Stanza, []string, error) {
	if !mayRunPlugins() {
		return nil, nil, debuggedPlugin(r.plugin)
	}
	c := &conversation{talk: talk}
	to, err := plugin.NewRecipient(r.text, c.ui())
	if err != nil {
		return nil, nil, &PluginError{Plugin: r.plugin}
	}
	stanzas, labels, err := to.WrapWithLabels(fileKey)
	if err != nil {
		return nil, nil, c.failure(r.plugin, "", err)
	}
	return stanzas, labels, nil
}

// pluginIdentity is run for every file that nothing before it opened: only the
// plugin knows its own stanzas.
type pluginIdentity struct {
	name string
	text string // AGE-PLUGIN-NAME-1...
}

func parsePluginIdentity(text string) *pluginIdentity {
	name, _, err := plugin.ParseIdentity(text)
	if err != nil || !isPluginName(name) {
		return nil
	}
	return &pluginIdentity{name, text}
}

func (p *pluginIdentity) rank() rank { return mayAsk }

func (p *pluginIdentity) unwrap(stanzas []*age.Stanza, talk *Talk, _ string) ([]byte, error) {
	if !mayRunPlugins() {
		return nil, debuggedPlugin(p.name)
	}
	c := &conversation{talk: talk}
	id, err := plugin.NewIdentity(p.text, c.ui())
	if err != nil {
		return nil, &PluginError{Plugin: p.name}
	}
	fileKey, err := id.Unwrap(stanzas)
	switch {
	case err == nil:
		return fileKey, nil
	case errors.Is(err, age.ErrIncorrectIdentity) && c.err == nil && !c.nobody:
		return nil, age.ErrIncorrectIdentity
	}
	return nil, c.failure(p.name, p.text, err)
}
