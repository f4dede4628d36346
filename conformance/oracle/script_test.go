package oracle_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

const apiPrefix = "$JS.API."

// script is a list of questions being asked of both servers. A line is one of:
//
//	SUBJECT BODY                 a request of the API; its subject without $JS.API.
//	api [HEADERS] SUBJECT BODY   the same with headers, which are "Key: value; Key: value"
//	many N SUBJECT BODY          a request with up to N answers; a status ends them. 0: with none
//	pub [HEADERS] SUBJECT BODY   a publish whose answer is compared
//	send [HEADERS] SUBJECT BODY  a publish without a reply
//	pull N STREAM CONSUMER BODY  a pull request with up to N answers, as above
//	fast [HEADERS] PLACE SUBJECT BODY
//	                             a message of a fast batch, and all that comes for any then;
//	                             PLACE is ID.FLOW.GAP.SEQUENCE.OPERATION
//	listen SUBJECT [QUEUE]       a subscription
//	take N SUBJECT               the next N messages of a subscription
//	unlisten SUBJECT             its end
//	ack N PAYLOAD                an answer to the N-th message that was taken or pulled last,
//	                             with a reply that is waited for
//	ask N PAYLOAD                the same where a message, not an empty one, comes back
//	tell N PAYLOAD               the same without a reply
//	wait FIELD VALUE SUBJECT     asks again until a field of both answers is that
//
// A line "== NAME" begins a part that is a test of its own, with the same servers.
//
// Lines at the beginning that start with "config " are added to the configuration
// of both servers.
//
// {ephemeral} and {restore} stand for what the servers made up last. {long:N} is N
// times the letter x. Empty lines and those that begin with # say nothing.
type script struct {
	*testing.T
	file string
	line int
	weir *side
	ref  *side
	// requests are the subjects that were asked, for the list of what is covered.
	requests []string
}

// scripts runs each file of testdata.
func TestWeirAnswersLikeNATSServer(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	t.Run("scripts", func(t *testing.T) {
		for _, f := range files {
			t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
				t.Parallel()
				runScript(t, f)
			})
		}
	})
	if !t.Failed() && wholeRun() {
		differences.checkAllAreNeeded(t)
		checkEveryRequestIsAsked(t)
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	config := ""
	for ; strings.HasPrefix(lines[0], "config "); lines = lines[1:] {
		config += lines[0][len("config "):] + "\n"
	}
	s := &script{
		T: t, file: filepath.Base(file), line: strings.Count(config, "\n"),
		weir: newSide(t, "weir", harness.Start(t, config)), ref: newSide(t, "nats-server", harness.StartReference(t, config)),
	}
	for name, part := range parts(lines) {
		if name == "" {
			s.run(part)
			continue
		}
		t.Run(name, func(t *testing.T) {
			s.T = t
			s.run(part)
		})
	}
	covered.add(s.requests)
}

// parts gives the lines of each part with its name, that of the first is empty.
func parts(lines []string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		name, from := "", 0
		for i, line := range lines {
			next, begins := strings.CutPrefix(line, "== ")
			if !begins {
				continue
			}
			if !yield(name, lines[from:i]) {
				return
			}
			name, from = next, i
		}
		yield(name, lines[from:])
	}
}

// run does what the lines of a part say.
func (s *script) run(lines []string) {
	for _, line := range lines {
		s.line++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '=' {
			continue
		}
		if err := s.do(expand(line)); err != nil {
			s.Errorf("%s:%d: %.200s\n\t%v", s.file, s.line, line, err)
		}
	}
}

// expand puts long texts into a line.
func expand(line string) string {
	for {
		head, rest, found := strings.Cut(line, "{long:")
		if !found {
			return line
		}
		digits, tail, _ := strings.Cut(rest, "}")
		n, err := strconv.Atoi(digits)
		if err != nil {
			return line
		}
		line = head + strings.Repeat("x", n) + tail
	}
}

func (s *script) do(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	f, ok := verbs[verb]
	if !ok {
		return s.ask(1, apiPrefix+verb, "", rest)
	}
	return f(s, rest)
}

var verbs map[string]func(s *script, rest string) error

func init() {
	verbs = map[string]func(s *script, rest string) error{
		"api":      func(s *script, rest string) error { h, r := headers(rest); return s.ask2(1, apiPrefix, h, r) },
		"pub":      func(s *script, rest string) error { h, r := headers(rest); return s.ask2(1, "", h, r) },
		"many":     (*script).many,
		"send":     (*script).send,
		"fast":     (*script).fast,
		"pull":     (*script).pull,
		"listen":   (*script).listen,
		"take":     (*script).take,
		"unlisten": (*script).unlisten,
		"ack":      func(s *script, rest string) error { return s.answer(rest, 1) },
		"ask":      func(s *script, rest string) error { return s.answer(rest, 1) },
		"tell":     func(s *script, rest string) error { return s.answer(rest, -1) },
		"wait":     (*script).wait,
	}
}

// headers parts "[headers] rest".
func headers(rest string) (header, after string) {
	if !strings.HasPrefix(rest, "[") {
		return "", rest
	}
	header, after, _ = strings.Cut(rest[1:], "] ")
	return header, after
}

func number(rest string) (int, string) {
	digits, after, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(digits)
	if err != nil {
		panic("oracle: no number in a script: " + rest)
	}
	return n, after
}

func (s *script) ask2(n int, prefix, header, rest string) error {
	subject, body, _ := strings.Cut(rest, " ")
	return s.ask(n, prefix+subject, header, body)
}

// ask sends a request to both and compares the answers.
func (s *script) ask(n int, subject, header, body string) error {
	if n <= 1 {
		s.requests = append(s.requests, subject)
	}
	return s.both(subject+" "+header+" "+body, false, func(d *side) ([]*nats.Msg, error) {
		got, err := d.request(subject, header, body, n)
		if err == nil && len(got) == 1 {
			d.learn(subject, body, got[0])
		}
		return got, err
	})
}

func (s *script) many(rest string) error {
	n, rest := number(rest)
	subject, body, _ := strings.Cut(rest, " ")
	s.requests = append(s.requests, apiPrefix+subject)
	return s.ask(n, apiPrefix+subject, "", body)
}

func (s *script) send(rest string) error {
	h, rest := headers(rest)
	subject, body, _ := strings.Cut(rest, " ")
	for _, d := range []*side{s.weir, s.ref} {
		if _, err := d.request(subject, h, body, -1); err != nil {
			return err
		}
		if err := d.nc.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) fast(rest string) error {
	h, rest := headers(rest)
	place, rest, _ := strings.Cut(rest, " ")
	subject, body, _ := strings.Cut(rest, " ")
	return s.both("fast "+place+" "+h+" "+subject, false, func(d *side) ([]*nats.Msg, error) {
		if d.batches == nil {
			var err error
			d.inbox = nats.NewInbox()
			if d.batches, err = d.nc.SubscribeSync(d.inbox + ".>"); err != nil {
				return nil, err
			}
		}
		if err := d.publish(subject, d.inbox+"."+place+".$FI", h, body); err != nil {
			return nil, err
		}
		return d.rest(d.batches)
	})
}

func (s *script) pull(rest string) error {
	n, rest := number(rest)
	f := strings.SplitN(rest, " ", 3)
	body := ""
	if len(f) == 3 {
		body = f[2]
	}
	s.requests = append(s.requests, apiPrefix+"CONSUMER.MSG.NEXT."+f[0]+"."+f[1])
	return s.both("pull "+rest, true, func(d *side) ([]*nats.Msg, error) {
		return d.request(apiPrefix+"CONSUMER.MSG.NEXT."+f[0]+"."+f[1], "", body, n)
	})
}

func (s *script) listen(rest string) error {
	subject, queue, _ := strings.Cut(rest, " ")
	for _, d := range []*side{s.weir, s.ref} {
		sub, err := d.nc.QueueSubscribeSync(subject, queue)
		if err != nil {
			return err
		}
		d.subs[subject] = sub
		if err := d.nc.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) take(rest string) error {
	n, subject := number(rest)
	return s.both("take "+rest, true, func(d *side) ([]*nats.Msg, error) { return d.receive(d.subs[subject], n) })
}

func (s *script) unlisten(subject string) error {
	for _, d := range []*side{s.weir, s.ref} {
		if err := d.subs[subject].Unsubscribe(); err != nil {
			return err
		}
		if err := d.nc.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// answer sends payloads to the subject to which a message taken before replies.
func (s *script) answer(rest string, n int) error {
	i, payload := number(rest)
	return s.both("ack "+rest, false, func(d *side) ([]*nats.Msg, error) {
		if i > len(d.taken) {
			return nil, fmt.Errorf("%s: %d messages were taken", d.name, len(d.taken))
		}
		to := d.taken[i-1].Reply
		if n < 0 {
			if err := d.nc.Publish(to, []byte(payload)); err != nil {
				return nil, err
			}
			return nil, d.nc.Flush()
		}
		return d.request(to, "", payload, n)
	})
}

// wait asks both until a field of the answer has a value.
func (s *script) wait(rest string) error {
	f := strings.SplitN(rest, " ", 4)
	body := ""
	if len(f) == 4 {
		body = f[3]
	}
	for _, d := range []*side{s.weir, s.ref} {
		deadline := time.Now().Add(patience)
		for {
			got, err := d.request(apiPrefix+f[2], "", body, 1)
			if err != nil {
				return err
			}
			now := field(d.tree(got[0], false), f[0])
			if now == f[1] {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s: %s is %s: %s", d.name, f[0], now, got[0].Data)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	return nil
}

// field reads one of an answer's fields as text.
func field(tree any, path string) string {
	m, ok := tree.(map[string]any)
	if !ok {
		return ""
	}
	var v any = m["body"]
	for key := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i < len(x) {
				v = x[i]
			}
		}
	}
	return fmt.Sprint(v)
}

// both does something on both sides and compares what comes back.
func (s *script) both(what string, taking bool, f func(d *side) ([]*nats.Msg, error)) error {
	type outcome struct {
		msgs []*nats.Msg
		err  error
	}
	results := make(chan outcome, 1)
	go func() {
		m, err := f(s.weir)
		results <- outcome{m, err}
	}()
	ref, err := f(s.ref)
	weir := <-results
	if taking {
		s.weir.taken, s.ref.taken = weir.msgs, ref
	}
	var wrong []string
	for _, e := range []error{weir.err, err} {
		if e != nil {
			wrong = append(wrong, e.Error())
		}
	}
	for i := range max(len(weir.msgs), len(ref)) {
		var a, b any
		if i < len(weir.msgs) {
			a = s.weir.tree(weir.msgs[i], taking)
			wrong = append(wrong, invalid(weir.msgs[i])...)
		}
		if i < len(ref) {
			b = s.ref.tree(ref[i], taking)
		}
		prefix := ""
		if len(weir.msgs) > 1 || len(ref) > 1 {
			prefix = fmt.Sprint(i)
		}
		for _, u := range compare(prefix, a, b) {
			if !differences.explains(s.file, what, u.field) {
				wrong = append(wrong, u.String())
			}
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n\t"))
	}
	return nil
}
