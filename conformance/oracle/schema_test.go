package oracle_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/jsm.go/schemas"
	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// invalid says what an answer of the API or an event has that its schema in jsm.go
// does not allow.
func invalid(m *nats.Msg) []string {
	var head struct {
		Type  string           `json:"type"`
		Error *json.RawMessage `json:"error"`
	}
	if json.Unmarshal(m.Data, &head) != nil || !strings.HasPrefix(head.Type, "io.nats.jetstream.") {
		return nil
	}
	schema, err := schemaOf(head.Type)
	if err != nil {
		return []string{err.Error()}
	}
	if schema == nil {
		return nil
	}
	err = violation(schema, m.Data)
	if err != nil && !schemaIsWrong(head.Type, err) && !(head.Error != nil && strings.Contains(err.Error(), "subschemas 0, 1 matched")) {
		// An error that has the keys of an answer, too, as nats-server sends it, is both.
		return []string{fmt.Sprintf("schema %s: %v\n\t%s", head.Type, err, m.Data)}
	}
	return nil
}

// violation says what a schema does not allow in a JSON text.
func violation(schema *jsonschema.Schema, text []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

var compiled struct {
	sync.Mutex
	byType map[string]*jsonschema.Schema
}

// schemaOf gives the schema of a type of message, nil if jsm.go has none.
func schemaOf(kind string) (*jsonschema.Schema, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if s, ok := compiled.byType[kind]; ok {
		return s, nil
	}
	if compiled.byType == nil {
		compiled.byType = map[string]*jsonschema.Schema{}
	}
	compiled.byType[kind] = nil
	path := strings.ReplaceAll(strings.TrimPrefix(kind, "io.nats."), ".", "/") + ".json"
	text, err := schemas.Load(path)
	if err != nil {
		return nil, nil
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", path, err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("file:///"+path, doc); err != nil {
		return nil, fmt.Errorf("schema %s: %w", path, err)
	}
	s, err := c.Compile("file:///" + path)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", path, err)
	}
	compiled.byType[kind] = s
	return s, nil
}

// schemaIsWrong knows where the schemas refuse what nats-server itself answers.
func schemaIsWrong(kind string, err error) bool {
	for _, k := range wrongSchemas {
		if k.kind == kind && strings.Contains(err.Error(), k.text) {
			return true
		}
	}
	return false
}

var wrongSchemas = []struct{ kind, text, reason string }{
	{"io.nats.jetstream.api.v1.consumer_unpin_response", "missing property 'error'", "it wants an error in the error"},
	{"io.nats.jetstream.advisory.v1.nak", "got number, want string", "the sequence is a number"},
	{"io.nats.jetstream.advisory.v1.terminated", "got number, want string", "as above"},
	{"io.nats.jetstream.advisory.v1.consumer_group_pinned", "missing property 'server'", "nobody sends it"},
	{"io.nats.jetstream.advisory.v1.consumer_group_unpinned", "missing property 'server'", "as above"},
}
