package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// settings are a stream's or a consumer's in JSON, by their names there.
type settings map[string]json.RawMessage

func readSettings(b []byte) (settings, error) {
	var s settings
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return s, nil
}

// drop leaves a setting out and says whether it was there and meant something.
func (s settings) drop(name string) bool {
	v, ok := s[name]
	delete(s, name)
	return ok && !slices.Contains([]string{"null", "false", "0", `""`, "[]", "{}"}, string(v))
}

// replicas makes a setting that a single server cannot fulfil one that it can; n is
// what is left of it.
func (s settings) replicas(n string) (was string, changed bool) {
	v := string(s["num_replicas"])
	if v == "" || v == "0" || v == "1" {
		return "", false
	}
	s["num_replicas"] = json.RawMessage(n)
	return v, true
}

// own leaves out the metadata that a server writes itself.
func (s settings) own() error {
	v, ok := s["metadata"]
	if !ok {
		return nil
	}
	var m map[string]string
	if err := json.Unmarshal(v, &m); err != nil {
		return fmt.Errorf("read metadata: %w", err)
	}
	maps.DeleteFunc(m, func(key, _ string) bool { return strings.HasPrefix(key, "_nats.") })
	delete(s, "metadata")
	if len(m) == 0 {
		return nil
	}
	b, err := json.Marshal(m)
	s["metadata"] = b
	return err
}

// planStream makes the settings of the copy, and notes in what it differs.
func planStream(s *streamFacts, without []string, note func(string, ...any)) (doc settings, sealed bool, err error) {
	doc, err = readSettings(s.Config)
	if err == nil {
		err = doc.own()
	}
	if err != nil {
		return nil, false, err
	}
	if n, ok := doc.replicas("1"); ok {
		note("it has 1 replica instead of %s", n)
	}
	if doc.drop("placement") {
		note("its placement in a cluster is left out")
	}
	if doc.drop("mirror") {
		note("it is a stream like any other, and no mirror of %s any more", s.known.Mirror.Name)
		doc.drop("mirror_direct")
	}
	if doc.drop("sources") {
		names := make([]string, 0, len(s.known.Sources))
		for _, o := range s.known.Sources {
			names = append(names, o.Name)
		}
		note("it takes nothing from its sources (%s) any more", strings.Join(names, ", "))
	}
	doc.drop("template_owner")
	doc.drop("first_seq") // the messages have theirs
	for _, name := range without {
		if doc.drop(name) {
			note("its setting %s is left out", name)
		}
	}
	return doc, doc.drop("sealed"), nil
}

// planConsumer makes the settings of a consumer's copy, and notes in what it differs;
// nil where there is no copy.
func planConsumer(c *consumerFacts, note func(string, ...any)) (settings, error) {
	if c.known.Durable == "" {
		note("consumer %s is left out: it is ephemeral, its client makes a new one", c.Name)
		return nil, nil
	}
	doc, err := readSettings(c.Config)
	if err == nil {
		err = doc.own()
	}
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", c.Name, err)
	}
	if n, ok := doc.replicas("0"); ok {
		note("consumer %s has 1 replica instead of %s", c.Name, n)
	}
	return doc, nil
}
