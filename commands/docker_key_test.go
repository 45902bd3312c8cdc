//go:build linux

package commands_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// TestDockerKeyByItself runs the ways of docs/deploy.md by which a container gets a key,
// the one of Kubernetes as its kubelet lays the files.
func TestDockerKeyByItself(t *testing.T) {
	needDocker(t)
	isolateProcess(t)
	d := newDockerized(t, "")
	t.Setenv("MUXI_IMAGE", "git-muxi-secrets-test/runtime")
	keys := filepath.Join(d.top, "keys")
	t.Setenv("MUXI_KEYS", keys)
	values := map[string]string{"OPENAI_API_KEY": "sk-of-dev-0123456789", "SEARCH_TOKEN": "token"}
	d.formation("my-agent", guideFormation, values)
	d.formation("other", guideFormation, values)

	dockerfile := fenced(t, "dockerfile")[0]
	must(t, os.WriteFile(filepath.Join(d.top, "Dockerfile"), []byte(strings.Replace(dockerfile, "=muxi/runtime", "="+os.Getenv("MUXI_IMAGE"), 1)), 0o644))
	must(t, os.WriteFile(filepath.Join(d.top, ".dockerignore"), []byte(fenced(t, "text")[0]+"keys\n"), 0o644))

	t.Cleanup(func() { // the image that compose builds
		down := exec.Command("docker-compose", "-p", strings.ToLower(filepath.Base(d.top)), "down", "--rmi", "local")
		down.Dir, down.Env = d.top, d.environ()
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})

	compose := fenced(t, "yaml")
	if len(compose) != 4 {
		t.Fatalf("%d blocks of YAML", len(compose))
	}
	var m manifest
	must(t, yaml.Unmarshal([]byte(compose[3]), &m))
	pod := m.Spec.Template.Spec
	mount, secret, group := pod.Containers[0].Mounts[0], pod.Volumes[0].Secret, *pod.Security.Group

	// A volume as the kubelet lays it: what it was made of lies in a folder with a date,
	// and all else leads there.
	volume := filepath.Join(keys, "volume")
	dated := filepath.Join(volume, "..2026_01_02")
	must(t, os.MkdirAll(dated, 0o755))
	must(t, os.Symlink(filepath.Base(dated), filepath.Join(volume, "..data")))
	must(t, os.Symlink("..data/.key", filepath.Join(volume, ".key")))
	file := filepath.Join(dated, mount.SubPath)

	must(t, os.Rename(keyOf(d, "my-agent"), filepath.Join(keys, "my-agent.key")))
	must(t, os.Rename(keyOf(d, "other"), file))
	must(t, os.Chown(file, 0, group))
	must(t, os.Chmod(file, os.FileMode(secret.Mode)))
	links := map[string]string{"my-agent": "/run/secrets/my-agent-key", "other": "/run/key/.key"}
	for name, to := range links {
		must(t, os.Symlink(to, keyOf(d, name)))
	}

	asPod := fmt.Sprintf("    user: \"%d:%d\"\n    group_add: [\"%d\"]\n    read_only: true\n    volumes:\n", pod.Security.User, pod.Security.User, group)
	for _, tt := range []struct {
		name, compose string
		loads         []string // the other formation has no key then
	}{
		{"links to a Docker secret and into a Secret's volume", compose[0] + "      - " + volume + ":/run/key:ro\n" +
			"    secrets: [my-agent-key]\nsecrets:\n  my-agent-key:\n    file: ${MUXI_KEYS}/my-agent.key\n", []string{"my-agent", "other"}},
		{"a Docker secret", compose[1], []string{"my-agent"}},
		{"a mounted file", compose[2], []string{"my-agent"}},
		{"a Secret of Kubernetes", "services:\n  muxi:\n    build: .\n" + asPod +
			"      - " + file + ":" + strings.Replace(mount.Path, "my-agent", "other", 1) + ":ro\n", []string{"other"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(d.top, "docker-compose.yml"), []byte(tt.compose), 0o644))
			found := d.up()
			for _, name := range tt.loads {
				d.has(found[name], "llm.api_keys.openai", values["OPENAI_API_KEY"])
				d.has(found[name], "tools.0.header", "Bearer "+values["SEARCH_TOKEN"])
			}
		})
	}
}
