package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// onTerminal is an app that somebody answers.
func onTerminal(answers string) (*app, *bytes.Buffer) {
	var out bytes.Buffer
	a := newApp(strings.NewReader(answers), &bytes.Buffer{}, &out)
	a.inTerm, a.getenv = true, func(string) string { return "" }
	return a, &out
}

func guidedStream(t *testing.T, answers string, flags ...string) (string, *streamFlags, string, error) {
	t.Helper()
	a, out := onTerminal(answers)
	cmd := &cobra.Command{Use: "add"}
	var f streamFlags
	f.bind(cmd)
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	name := ""
	err := a.guideStream(cmd, &name, &f)
	return name, &f, out.String(), err
}

func TestQuestionsAreAskedForWhatFlagsDoNotSay(t *testing.T) {
	name, f, out, err := guidedStream(t, "bad name\nORDERS\norders.> returns.*\nmemory\nsoon\n30d\n\n100\n\nnew\n", "--retention", "interest")
	if err != nil || name != "ORDERS" || strings.Join(f.subjects, " ") != "orders.> returns.*" {
		t.Fatalf("%q %v %v\n%s", name, f.subjects, err, out)
	}
	if f.storage != "memory" || f.retention != "interest" || time.Duration(f.maxAge) != 30*24*time.Hour || f.maxMsgs != 100 || f.discard != "new" {
		t.Errorf("the answers gave %+v", f)
	}
	for _, want := range []string{"no spaces", "90s, 36h and 7d", "add ORDERS 'orders.>' 'returns.*' --storage memory --max-age 30d", "--discard new"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "When do messages go") {
		t.Error("a flag that was given is asked for")
	}
}

func TestAnEndOfAnswersMakesNothing(t *testing.T) {
	if _, _, _, err := guidedStream(t, "ORDERS\n"); err == nil || !strings.Contains(err.Error(), "nothing was made") {
		t.Errorf("the error is %v", err)
	}
}

func TestQuestionsOfAConsumerDependOnItsAcknowledgements(t *testing.T) {
	a, out := onTerminal("S\nc\norders.new\nnever\n2h\nnone\n")
	cmd := &cobra.Command{Use: "add"}
	var f consumerFlags
	f.bind(cmd)
	args, err := a.guideConsumer(cmd, nil)
	if err != nil || strings.Join(args, " ") != "S c" || f.ack != "none" || f.deliver != "2h" || strings.Join(f.filter, " ") != "orders.new" {
		t.Fatalf("%v %+v %v\n%s", args, f, err, out)
	}
	if strings.Contains(out.String(), "Hand a message out") {
		t.Error("a consumer without acknowledgements is asked when to hand out again")
	}
}

func TestRowsAreSortedAndSummedUp(t *testing.T) {
	list := []*jetstream.StreamInfo{
		{Config: jetstream.StreamConfig{Name: "A"}, State: jetstream.StreamState{Msgs: 1, Bytes: 10}},
		{Config: jetstream.StreamConfig{Name: "B"}, State: jetstream.StreamState{Msgs: 5, Bytes: 7}},
	}
	cmd := &cobra.Command{Use: "report"}
	for by, want := range map[string]string{"name": "AB", "messages": "BA", "bytes": "AB", "consumers": "AB"} {
		r := reportStreams(list)
		if err := streamOrder.sort(cmd, r.Streams, by, false); err != nil || r.Streams[0].Name+r.Streams[1].Name != want {
			t.Errorf("by %s: %s first, %v", by, r.Streams[0].Name, err)
		}
		if r.Total.Messages != 6 || r.Total.Bytes != 17 || r.Total.Streams != 2 {
			t.Errorf("the total is %+v", r.Total)
		}
	}
	if err := streamOrder.sort(cmd, nil, "colour", false); err == nil {
		t.Error("an unknown column is taken")
	}
}
