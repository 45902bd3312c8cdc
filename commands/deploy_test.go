//go:build unix

package commands_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// fenced lists the blocks of a language in docs/deploy.md.
func fenced(t *testing.T, language string) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "docs", "deploy.md"))
	must(t, err)
	var blocks []string
	for _, part := range strings.Split(string(content), "\n```"+language+"\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```\n")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

// kubernetesTypes are the types of Kubernetes' API, as far as a pod with a Secret needs
// them: field by field its type, with ! where the API wants it given. After the API
// reference of Kubernetes 1.34; the manifest was decoded once, strictly, with k8s.io/api
// v0.34.0.
var kubernetesTypes = map[string]map[string]string{
	"Deployment":         {"apiVersion": "string!", "kind": "string!", "metadata": "ObjectMeta!", "spec": "DeploymentSpec!"},
	"ObjectMeta":         {"name": "string", "namespace": "string", "labels": "map", "annotations": "map"},
	"DeploymentSpec":     {"replicas": "int", "selector": "LabelSelector!", "template": "PodTemplateSpec!", "minReadySeconds": "int", "revisionHistoryLimit": "int"},
	"LabelSelector":      {"matchLabels": "map"},
	"PodTemplateSpec":    {"metadata": "ObjectMeta!", "spec": "PodSpec!"},
	"PodSpec":            {"containers": "[]Container!", "securityContext": "PodSecurityContext", "volumes": "[]Volume", "serviceAccountName": "string", "automountServiceAccountToken": "bool"},
	"PodSecurityContext": {"runAsNonRoot": "bool", "runAsUser": "int", "runAsGroup": "int", "fsGroup": "int", "fsGroupChangePolicy": "string"},
	"Container":          {"name": "string!", "image": "string", "command": "[]string", "args": "[]string", "volumeMounts": "[]VolumeMount", "securityContext": "SecurityContext"},
	"SecurityContext":    {"allowPrivilegeEscalation": "bool", "readOnlyRootFilesystem": "bool", "runAsNonRoot": "bool", "runAsUser": "int"},
	"VolumeMount":        {"name": "string!", "mountPath": "string!", "subPath": "string", "readOnly": "bool"},
	"Volume":             {"name": "string!", "secret": "SecretVolumeSource"},
	"SecretVolumeSource": {"secretName": "string", "defaultMode": "int", "items": "[]KeyToPath", "optional": "bool"},
	"KeyToPath":          {"key": "string!", "path": "string!", "mode": "int"},
}

// kubernetesWants says what is not of a type: fields that are unknown, missing, or of
// another type.
func kubernetesWants(at, kind string, node any) []string {
	if element, ok := strings.CutPrefix(kind, "[]"); ok {
		list, ok := node.([]any)
		if !ok {
			return []string{at + " is no list"}
		}
		var wrong []string
		for i, one := range list {
			wrong = append(wrong, kubernetesWants(fmt.Sprintf("%s[%d]", at, i), element, one)...)
		}
		return wrong
	}
	fields, ok := kubernetesTypes[kind]
	if !ok {
		plain := map[string]bool{"string": isA[string](node), "int": isA[int](node), "bool": isA[bool](node), "map": isA[map[string]any](node)}
		if !plain[kind] {
			return []string{fmt.Sprintf("%s is no %s", at, kind)}
		}
		return nil
	}
	given, ok := node.(map[string]any)
	if !ok {
		return []string{at + " is no object"}
	}
	var wrong []string
	for name, value := range given {
		if fields[name] == "" {
			wrong = append(wrong, at+"."+name+" is unknown")
			continue
		}
		wrong = append(wrong, kubernetesWants(at+"."+name, strings.TrimSuffix(fields[name], "!"), value)...)
	}
	for name, kind := range fields {
		if _, ok := given[name]; strings.HasSuffix(kind, "!") && !ok {
			wrong = append(wrong, at+"."+name+" is missing")
		}
	}
	slices.Sort(wrong)
	return wrong
}

func isA[T any](node any) bool {
	_, ok := node.(T)
	return ok
}

// manifest is what of a Deployment is looked at beyond its types.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name string }
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Security struct {
					User  int  `yaml:"runAsUser"`
					Group *int `yaml:"fsGroup"`
				} `yaml:"securityContext"`
				Containers []struct {
					Name   string
					Mounts []struct {
						Name     string
						Path     string `yaml:"mountPath"`
						SubPath  string `yaml:"subPath"`
						ReadOnly bool   `yaml:"readOnly"`
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name   string
					Secret struct {
						Name string `yaml:"secretName"`
						Mode int    `yaml:"defaultMode"`
					}
				}
			}
		}
	}
}

// kubernetesRefuses says why a cluster would not take a manifest, or would not start its
// pod with a key that is readable.
func kubernetesRefuses(text string) []string {
	var node any
	if err := yaml.Unmarshal([]byte(text), &node); err != nil {
		return []string{err.Error()}
	}
	wrong := kubernetesWants("manifest", "Deployment", node)
	var m manifest
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		return append(wrong, err.Error())
	}
	pod := m.Spec.Template
	refuse := func(when bool, why string) {
		if when {
			wrong = append(wrong, why)
		}
	}
	refuse(m.APIVersion != "apps/v1" || m.Kind != "Deployment", "kind")
	for label, value := range m.Spec.Selector.MatchLabels {
		refuse(pod.Metadata.Labels[label] != value, "the selector does not match its own pods")
	}
	refuse(len(m.Spec.Selector.MatchLabels) == 0, "the selector is empty")
	name := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	refuse(!name.MatchString(m.Metadata.Name), "metadata.name")
	for _, volume := range pod.Spec.Volumes {
		mode := volume.Secret.Mode
		refuse(!name.MatchString(volume.Name) || !name.MatchString(volume.Secret.Name), "a volume's name")
		refuse(mode <= 0 || mode > 0o777, "defaultMode")
		refuse(mode&0o337 != 0, "the key is more open than it need be")
		refuse(pod.Spec.Security.Group != nil && mode&0o040 == 0, "the group cannot read")
	}
	for _, container := range pod.Spec.Containers {
		refuse(!name.MatchString(container.Name), "a container's name")
		for _, mount := range container.Mounts {
			known := false
			for _, volume := range pod.Spec.Volumes {
				known = known || volume.Name == mount.Name
			}
			refuse(!known, "a mount without its volume")
			refuse(!path.IsAbs(mount.Path) || strings.Contains(mount.Path, ":"), "mountPath")
			refuse(path.IsAbs(mount.SubPath) || slices.Contains(strings.Split(mount.SubPath, "/"), ".."), "subPath")
			refuse(path.Base(mount.Path) != ".key" || mount.SubPath != ".key", "the file is not .key")
			refuse(!mount.ReadOnly, "the mount is writable")
		}
	}
	return wrong
}

// TestKubernetesManifest: a cluster would take the manifest of docs/deploy.md.
func TestKubernetesManifest(t *testing.T) {
	blocks := fenced(t, "yaml")
	text := blocks[len(blocks)-1]
	if wrong := kubernetesRefuses(text); len(wrong) > 0 {
		t.Errorf("%q", wrong)
	}
	for _, change := range [][3]string{
		{"apps/v1", "extensions/v1beta1", "kind"},
		{"secretName", "secretname", "manifest.spec.template.spec.volumes[0].secret.secretname is unknown"},
		{"subPath", "subpath", "manifest.spec.template.spec.containers[0].volumeMounts[0].subpath is unknown"},
		{"replicas: 1", "replicas: one", "manifest.spec.replicas is no int"},
		{"readOnly: true", "readOnly: false", "the mount is writable"},
		{"    spec:\n      securityContext", "    specification:\n      securityContext", "manifest.spec.template.spec is missing"},
		{"      labels:\n        app: my-agent", "      labels:\n        app: other", "the selector does not match its own pods"},
		{"- name: key\n          secret", "- name: keys\n          secret", "a mount without its volume"},
		{"0440", "0444", "the key is more open than it need be"},
		{"0440", "0400", "the group cannot read"},
		{"subPath: .key", "subPath: ../.key", "subPath"},
	} {
		if wrong := kubernetesRefuses(strings.Replace(text, change[0], change[1], 1)); !slices.Contains(wrong, change[2]) {
			t.Errorf("%q as %q: %q, want %q", change[0], change[1], wrong, change[2])
		}
	}
}
