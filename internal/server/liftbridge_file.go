package server

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// liftbridgeFile reads Liftbridge's own configuration file over c, and its variables of the
// environment over that. All that they say is honoured, or named in a warning.
func liftbridgeFile(c *Config, path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("configuration file %s does not exist", path)
	}
	if err != nil {
		return fmt.Errorf("read the configuration of Liftbridge: %w", err)
	}
	m, err := parseLiftbridge(b)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	m = flatten("", m, map[string]any{})
	set, ignored := liftVariables()
	for key, t := range set {
		m[key] = t
	}
	l := &loader{c: c, file: path, warn: ignored}
	setLiftbridge(c, value{l: l, v: m, file: path})
	if len(l.errs) > 0 {
		return errors.Join(l.errs...)
	}
	c.Warnings = append(c.Warnings, l.warn...)
	return nil
}

// parseLiftbridge gives a YAML file as our own language would.
func parseLiftbridge(b []byte) (map[string]any, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if len(doc.Content) == 0 {
		return map[string]any{}, nil
	}
	x, err := placed(doc.Content[0], 0)
	if err != nil {
		return nil, err
	}
	m, ok := x.Value().(map[string]any)
	if !ok {
		return nil, errors.New("it holds no settings")
	}
	return m, nil
}

// yamlToken is a value with its line.
type yamlToken struct {
	v    any
	line int
}

func (t *yamlToken) Value() any         { return t.v }
func (t *yamlToken) Line() int          { return t.line }
func (*yamlToken) SourceFile() string   { return "" }
func (*yamlToken) IsUsedVariable() bool { return false }

// deepestYAML bounds how far blocks and lists are in one another.
const deepestYAML = 20

// placed gives a node as a token.
func placed(n *yaml.Node, depth int) (*yamlToken, error) {
	t := &yamlToken{line: n.Line}
	if depth > deepestYAML {
		return nil, fmt.Errorf("line %d: too deep", n.Line)
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v, err := placed(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			m[n.Content[i].Value] = v
		}
		t.v = m
	case yaml.SequenceNode:
		list := []any{}
		for _, e := range n.Content {
			v, err := placed(e, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		t.v = list
	case yaml.AliasNode:
		return nil, fmt.Errorf("line %d: references are not supported: write it out", n.Line)
	default:
		t.v = scalar(n)
	}
	return t, nil
}

// scalar gives a value the type that our own language would.
func scalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
			return i
		}
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f
		}
	}
	return n.Value
}
