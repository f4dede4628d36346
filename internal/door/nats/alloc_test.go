package nats

import (
	"fmt"
	"strings"
	"testing"
)

func TestMessagesCostNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("pools drop items under the race detector")
	}
	const msgs = 1000
	inboxes := make([]string, msgs)
	for i := range inboxes {
		inboxes[i] = fmt.Sprintf("_INBOX.abc.%d", i)
	}
	for _, k := range []struct {
		name  string
		subs  []string // one connection each
		input []byte
	}{
		{"nobody", nil, pubs(msgs, 128, "a.b")},
		{"one", []string{"SUB a.b 1\r\n"}, pubs(msgs, 128, "a.b")},
		{"wildcard and queue", []string{"SUB a.* 1\r\nSUB a.b q 2\r\n", "SUB a.> q 9\r\n"}, pubs(msgs, 128, "a.b")},
		{"shared by four", []string{"SUB a.b 1\r\n", "SUB a.b 1\r\n", "SUB a.b 1\r\n", "SUB a.b 2\r\n"}, pubs(msgs, 128, "a.b")},
		{"many subjects", []string{"SUB a.1 1\r\nSUB a.2 2\r\nSUB a.3 3\r\n"}, pubs(msgs, 128, "a.1", "a.2", "a.3")},
		{"inboxes", []string{"SUB _INBOX.abc.* 1\r\n"}, pubs(msgs, 128, inboxes...)},
		{"large", []string{"SUB a.b 1\r\n"}, pubs(50, 16<<10, "a.b")},
		{"large for two", []string{"SUB a.b 1\r\n", "SUB a.b 1\r\n"}, pubs(50, 16<<10, "a.b")},
		{"not canonical", []string{"SUB a.b 1\r\n"}, []byte(strings.Repeat("pub a.b  2\r\nhi\r\n", msgs))},
		{"requests", []string{"SUB a.b 1\r\n"}, []byte(strings.Repeat("PUB a.b re.1 2\r\nhi\r\n", msgs))},
		{"pings", nil, []byte(strings.Repeat("PING\r\n", msgs))},
	} {
		d := bareDoor()
		for _, s := range k.subs {
			bareConn(d, s)
		}
		c := bareConn(d, "PING\r\n")
		// A garbage collection meanwhile may empty the pools, hence not quite 0.
		if n := testing.AllocsPerRun(50, func() { c.feed(k.input) }); n > 2 {
			t.Errorf("%s: %v allocations for each read buffer", k.name, n)
		}
	}
}
