package server

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Where Liftbridge reads a file, it also reads the environment: the variable of a key has its
// name in capitals, dots and all, and holds over the file, which need not have the key. An
// empty one is none.

// liftEnvPrefix begins the names of Liftbridge's variables.
const liftEnvPrefix = "LIFTBRIDGE_"

// liftOwnKeys are those of liftKeys that Liftbridge does not have.
var liftOwnKeys = []string{"enabled", "account", "nats_api", "authz"}

// envToken is the value of a variable.
type envToken struct {
	v    any
	name string
}

func (t *envToken) Value() any         { return t.v }
func (*envToken) Line() int            { return 0 }
func (t *envToken) SourceFile() string { return "environment variable " + t.name }
func (*envToken) IsUsedVariable() bool { return false }

// liftVariables are the settings of the environment, by key, and what of it is not read and
// why, by variable.
func liftVariables() (set map[string]*envToken, ignored []string) {
	set = map[string]*envToken{}
	for _, entry := range os.Environ() {
		name, v, _ := strings.Cut(entry, "=")
		rest, ok := strings.CutPrefix(name, liftEnvPrefix)
		if !ok || v == "" || rest != strings.ToUpper(rest) {
			continue
		}
		key := liftKeyOf(rest)
		switch {
		case key == "":
		case strings.ToUpper(key) != rest:
			ignored = append(ignored, fmt.Sprintf("environment variable %s: not read: the key %s has the variable %s", name, key, liftEnvPrefix+strings.ToUpper(key)))
		case key == "port" && strings.Contains(v, "://"):
			ignored = append(ignored, fmt.Sprintf("environment variable %s: not read: it is Kubernetes's, for a service named liftbridge", name))
		default:
			set[key] = &envToken{envScalar(v), name}
		}
	}
	slices.Sort(ignored)
	return set, ignored
}

// liftKeyOf gives the key that a variable is meant for; empty: none. Dots may be underscores.
func liftKeyOf(rest string) string {
	for _, r := range liftKeys {
		for _, key := range strings.Fields(r.names) {
			if name := strings.ToUpper(key); (name == rest || strings.ReplaceAll(name, ".", "_") == rest) && !slices.Contains(liftOwnKeys, key) {
				return key
			}
		}
	}
	return ""
}

// envScalar gives a text the type that it would have in the file.
func envScalar(text string) any {
	var doc yaml.Node
	if yaml.Unmarshal([]byte(text), &doc) == nil && len(doc.Content) == 1 && doc.Content[0].Kind == yaml.ScalarNode {
		return scalar(doc.Content[0])
	}
	return text
}

// liftUnread names the variables that say nothing where Liftbridge's file is not read.
func liftUnread() (warnings []string) {
	set, ignored := liftVariables()
	for _, t := range set {
		ignored = append(ignored, t.SourceFile())
	}
	for _, w := range ignored {
		name, _, _ := strings.Cut(w, ": ")
		warnings = append(warnings, name+": not read without --liftbridge-config")
	}
	slices.Sort(warnings)
	return warnings
}
