package oracle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

const (
	// patience is how long an answer may take.
	patience = 10 * time.Second
	// silence is how long nothing must come where nothing is expected.
	silence = 200 * time.Millisecond
)

// side is one of the two servers, with what a script remembers of it.
type side struct {
	name   string
	server *harness.Server
	nc     *nats.Conn
	// words are what the server made up, by the name that scripts use for it.
	words map[string]string
	subs  map[string]*nats.Subscription
	taken []*nats.Msg // by the last step that took messages
	// inbox begins what fast batches are answered to, batches is the subscription to it.
	inbox   string
	batches *nats.Subscription
}

func newSide(t testing.TB, name string, server *harness.Server) *side {
	t.Helper()
	return &side{name: name, server: server, nc: server.Connect(), words: map[string]string{}, subs: map[string]*nats.Subscription{}}
}

// fill puts what the server made up into a script's text.
func (s *side) fill(text string) string {
	for k, v := range s.words {
		text = strings.ReplaceAll(text, "{"+k+"}", v)
	}
	return text
}

// request sends a message and gives the first n answers, or those until the answer
// that ends them.
func (s *side) request(subject, header, body string, n int) ([]*nats.Msg, error) {
	inbox := nats.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.publish(subject, inbox, header, body); err != nil {
		return nil, err
	}
	return s.receive(sub, n)
}

// publish sends a message.
func (s *side) publish(subject, reply, header, body string) error {
	m := &nats.Msg{Subject: s.fill(subject), Reply: reply, Data: []byte(s.fill(body))}
	for h := range strings.SplitSeq(header, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(h), ": "); ok {
			if m.Header == nil {
				m.Header = nats.Header{}
			}
			m.Header.Add(k, v)
		}
	}
	return s.nc.PublishMsg(m)
}

// receive gives the next n messages, fewer if a status ends them; n = 0: none may
// come.
func (s *side) receive(sub *nats.Subscription, n int) ([]*nats.Msg, error) {
	if n == 0 {
		m, err := sub.NextMsg(silence)
		if err == nil {
			return nil, fmt.Errorf("%s answers %q %q", s.name, m.Header, m.Data)
		}
		return nil, nil
	}
	var out []*nats.Msg
	for len(out) < n {
		m, err := sub.NextMsg(patience)
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			m = &nats.Msg{Header: nats.Header{"Status": {"503"}}}
		case err != nil:
			return out, fmt.Errorf("%s: after %d of %d messages: %w", s.name, len(out), n, err)
		}
		out = append(out, m)
		if st := m.Header.Get("Status"); st != "" && st != "100" {
			break
		}
	}
	return out, nil
}

// rest gives all messages until none comes for a while.
func (s *side) rest(sub *nats.Subscription) ([]*nats.Msg, error) {
	var out []*nats.Msg
	for {
		m, err := sub.NextMsg(silence)
		switch {
		case errors.Is(err, nats.ErrTimeout):
			return out, nil
		case err != nil:
			return out, fmt.Errorf("%s: %w", s.name, err)
		}
		out = append(out, m)
	}
}

// tree puts a message into the form in which both sides are compared.
func (s *side) tree(m *nats.Msg, withSubject bool) any {
	t := map[string]any{}
	if len(m.Header) > 0 {
		h := map[string]any{}
		for k, v := range m.Header {
			h[k] = s.mask(k, strings.Join(v, "\n"))
		}
		t["header"] = h
	}
	if withSubject {
		t["subject"] = s.masked(maskReply(m.Subject))
		if m.Reply != "" {
			t["reply"] = s.masked(maskReply(m.Reply))
		}
	}
	dec := json.NewDecoder(strings.NewReader(s.masked(string(m.Data))))
	dec.UseNumber()
	var body any
	if len(m.Data) > 0 && m.Data[0] == '{' && dec.Decode(&body) == nil {
		t["body"] = s.maskTree("", body)
	} else {
		t["data"] = string(m.Data)
	}
	return t
}

// masked gives what the server made up its name in scripts.
func (s *side) masked(text string) string {
	for k, v := range s.words {
		text = strings.ReplaceAll(text, v, "{"+k+"}")
	}
	return text
}

// maskTree masks in a decoded JSON value.
func (s *side) maskTree(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		if code, ok := v["err_code"].(json.Number); ok {
			v["description"] = maskDescription(code.String(), fmt.Sprint(v["description"]))
		}
		for k, x := range v {
			v[k] = s.maskTree(k, x)
		}
	case []any:
		for i, x := range v {
			v[i] = s.maskTree(key, x)
		}
	case string:
		return s.mask(key, v)
	case json.Number:
		if (key == "pause_remaining" || key == "active" || key == "ack_time") && !strings.HasPrefix(v.String(), "-") {
			return "<ns>"
		}
	}
	return v
}

// mask hides a value that no two servers have in common.
func (s *side) mask(key, v string) any {
	switch key {
	case "ts", "created", "time", "first_ts", "last_ts", "last_active", "pinned_ts", "start", "end", "timestamp", "Nats-Time-Stamp":
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil && !at.IsZero() && strings.HasSuffix(v, "Z") {
			return "<time>"
		}
	case "_nats.ver":
		return "<version>"
	case "response": // compared where it was received
		return "<response>"
	case "id", "pinned_id", "pinned_client_id", "Nats-Pin-Id":
		return "<id>"
	}
	return v
}

// maskReply hides the time in the subject to which acknowledgements go, and what is
// random in that of flow control and of inboxes.
func maskReply(subject string) string {
	t := strings.Split(subject, ".")
	switch {
	case strings.HasPrefix(subject, "$JS.ACK.") && len(t) == 9:
		t[7] = "<time>"
	case strings.HasPrefix(subject, "$JS.FC."):
		t[len(t)-1] = "<id>"
	case t[0] == "_INBOX":
		return "<inbox>"
	}
	return strings.Join(t, ".")
}

// learn remembers what the server made up in its answer to a request.
func (s *side) learn(subject, body string, m *nats.Msg) {
	var a struct {
		Name    string `json:"name"`
		Stream  string `json:"stream_name"`
		Deliver string `json:"deliver_subject"`
	}
	if json.Unmarshal(m.Data, &a) != nil {
		return
	}
	switch {
	case strings.HasPrefix(subject, apiPrefix+"CONSUMER.CREATE.") && strings.Count(subject, ".") == 4 && a.Name != "" && !strings.Contains(body, `"`+a.Name+`"`):
		s.words["ephemeral"] = a.Name
	case strings.HasPrefix(subject, apiPrefix+"STREAM.RESTORE.") && a.Deliver != "":
		s.words["restore"] = a.Deliver
	}
}
