package scan

import (
	"strings"
	"testing"
)

func TestWebhooks(t *testing.T) {
	token := made(800, 26, "abcdefghijklmnopqrstuvwxyz0123456789")
	for name, url := range map[string]string{
		"Slack service":    "https://hooks.slack" + ".com/services/T0A1B2C3D/B0A1B2C3D/" + made(801, 24, alnum),
		"Slack workflow":   "https://hooks.slack" + ".com/workflows/T0A1B2C3D/A0A1B2C3D/123456789012345678/" + made(802, 24, alnum),
		"Slack trigger":    "https://hooks.slack" + ".com/triggers/T0A1B2C3D/1234567890123/" + made(803, 32, hexSet),
		"Discord":          "https://discord.com/api/webhooks/123456789012345678/" + made(804, 68, tokenSet),
		"Discord, older":   "https://discordapp.com/api/webhooks/123456789012345678/" + made(805, 68, tokenSet),
		"Telegram":         "https://api.telegram.org/bot1234567890:" + made(806, 35, tokenSet) + "/sendMessage",
		"Teams":            "https://acme.webhook.office.com/webhookb2/3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19@3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19/IncomingWebhook/" + made(807, 32, hexSet) + "/3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19",
		"Power Automate":   "https://prod-01.westeurope.logic.azure.com:443/workflows/" + made(808, 32, hexSet) + "/triggers/manual/paths/invoke?api-version=2016-06-01&sig=" + made(809, 43, alnum),
		"Zapier":           "https://hooks.zapier" + ".com/hooks/catch/1234567/3x8kq2z",
		"Make":             "https://hook.eu1.make.com/" + made(810, 32, "abcdefghijklmnopqrstuvwxyz0123456789"),
		"IFTTT":            "https://maker.ifttt.com/trigger/alert/with/key/" + made(811, 22, tokenSet),
		"Feishu":           "https://open.feishu" + ".cn/open-apis/bot/v2/hook/3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19",
		"WeCom":            "https://qyapi.weixin" + ".qq.com/cgi-bin/webhook/send?key=3f2a9c1e-77b0-4a51-9d3e-5c8f0b6a2d19",
		"Mattermost":       "https://chat.acme.net/hooks/" + token,
		"Mattermost, one":  "https://chat.acme.net/hooks/" + made(815, 25, "abcdefghijklmnopqrstuvwxyz") + "3",
		"Google Chat":      "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=abc&token=" + made(812, 43, tokenSet),
		"DingTalk":         "https://oapi.dingtalk.com/robot/send?access_token=" + made(813, 64, hexSet),
		"Teams, new flows": "https://default123.ab.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/1/triggers/manual/paths/invoke?sig=" + made(814, 43, alnum),
	} {
		for _, c := range []struct{ path, text string }{
			{"README.md", "Post to VALUE.\n"}, {"a.py", "requests.post(\"VALUE\")\n"}, {"a.json", "{\"a\": \"VALUE\\n\"}"},
			{"transformers/a.yaml", "id: a\nurl: VALUE\n"}, {"formation.afs", "proactive:\n  channels:\n    ops:\n      url: \"VALUE\"\n"},
			{"triggers/a.md", "---\nwebhook: VALUE\n---\nDo it.\n"}, {"agents/a.afs", "schema: a\nwebhook_url: VALUE\n"},
		} {
			t.Run(name+"/"+c.path, func(t *testing.T) {
				text := strings.ReplaceAll(c.text, "VALUE", url)
				line, column := place(text, url)
				found := (&Scanner{}).File(c.path, []byte(text), Regular)
				if len(found) != 1 || found[0].Rule != PlaintextKey || found[0].Line != line || found[0].Column < column {
					t.Errorf("want one finding at %d:%d, got%s", line, column, summary(found))
				}
			})
		}
	}
	for _, quiet := range []string{
		"https://hooks.slack" + ".com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "https://hooks.slack.com/services/...", "https://api.example.com/hooks/incoming",
		"https://discord.com/api/webhooks/{id}/{token}", "https://discord.com/api/webhooks/${ID}/${TOKEN}", "https://hooks.zapier.com/hooks/catch/123456/abc",
		"https://docs.example.com/webhooks/a-page-with-a-rather-long-name", "https://api.telegram.org/bot<token>/sendMessage", "https://api.telegram.org/bot${TOKEN}/getMe",
		"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=YOUR_KEY", "https://react.dev/hooks/useeffectandotherlonghooks", "https://www.make.com/en/help/scenarios-and-other-pages1",
	} {
		wantNone(t, &Scanner{}, "README.md", "See "+quiet+" for it.\n")
		wantNone(t, &Scanner{}, "formation.afs", "id: a\nurl: \""+quiet+"\"\n")
	}
}

// A URL in the parameter of another one is looked at; thousands of them are not
// looked at to the end each.
func TestURLsInURLs(t *testing.T) {
	hook := "https://hooks.slack" + ".com/services/T0A1B2C3D/B0A1B2C3D/" + made(801, 24, alnum)
	wantOne(t, &Scanner{}, "a.md", "https://x.example.net/webhook?to="+hook+"\n", PlaintextKey, hook)
	wantOne(t, &Scanner{}, "a.md", strings.Repeat("redis://", 10_000)+"\n"+hook+"\n", PlaintextKey, hook)
}
