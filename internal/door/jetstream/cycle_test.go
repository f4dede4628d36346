package jetstream

import (
	"fmt"
	"testing"

	"github.com/weirmq/weir/internal/account"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// from is the configuration of a stream that copies others, see copies.
func from(name, subjects, copies string) string {
	if subjects != "" {
		copies += fmt.Sprintf(`,"subjects":[%q]`, subjects)
	}
	return fmt.Sprintf(`{"name":%q,%s}`, name, copies)
}

func sources(all ...string) string {
	out := ""
	for i, s := range all {
		if i > 0 {
			out += ","
		}
		out += s
	}
	return `"sources":[` + out + `]`
}

func source(name, filter string) string {
	return fmt.Sprintf(`{"name":%q,"filter_subject":%q}`, name, filter)
}

func moved(name, from, to string) string {
	return fmt.Sprintf(`{"name":%q,"subject_transforms":[{"src":%q,"dest":%q}]}`, name, from, to)
}

func TestStreamsMayCopyEachOtherWhereNoMessageComesBack(t *testing.T) {
	for what, c := range map[string]struct {
		streams []string // the last is refused if cycle
		cycle   bool
	}{
		"itself":                     {[]string{from("A", "a", sources(source("A", "")))}, true},
		"itself as a mirror":         {[]string{from("A", "", `"mirror":{"name":"A"}`)}, true},
		"both all":                   {[]string{from("B", "b.>", sources(source("A", ""))), from("A", "a.>", sources(source("B", "")))}, true},
		"both what is their own":     {[]string{from("B", "b.>", sources(source("A", "a.>"))), from("A", "a.>", sources(source("B", "b.>")))}, false},
		"one of them all":            {[]string{from("B", "b.>", sources(source("A", "a.>"))), from("A", "a.>", sources(source("B", "")))}, true},
		"both a part of the same":    {[]string{from("B", "b.>", sources(source("A", "x.*"))), from("A", "a.>", sources(source("B", "x.1")))}, true},
		"parts that share a subject": {[]string{from("B", "b.>", sources(source("A", "x.*"))), from("A", "a.>", sources(source("B", "*.y")))}, true},
		"both under other subjects":  {[]string{from("B", "b.>", sources(moved("A", "a.>", "c.>"))), from("A", "a.>", sources(moved("B", "c.>", "a.>")))}, true},
		"three what is their own": {[]string{from("B", "b", sources(source("C", "c"))), from("C", "c", sources(source("A", "a"))),
			from("A", "a", sources(source("B", "b")))}, false},
		"three all":             {[]string{from("B", "b", sources(source("C", ""))), from("C", "c", sources(source("A", ""))), from("A", "a", sources(source("B", "")))}, true},
		"a mirror of itself":    {[]string{from("M", "", `"mirror":{"name":"A"}`), from("A", "a", sources(source("M", "")))}, true},
		"a stream and a mirror": {[]string{from("A", "a", sources()), from("M", "", `"mirror":{"name":"A"}`), from("S", "", sources(source("A", ""), source("M", "")))}, true},
		"two mirrors of it": {[]string{from("A", "a", sources()), from("M", "", `"mirror":{"name":"A"}`), from("N", "", `"mirror":{"name":"A"}`),
			from("S", "", sources(source("M", ""), source("N", "")))}, false},
		"on two ways": {[]string{from("A", "a", sources()), from("B", "b", sources(source("A", ""))), from("S", "", sources(source("A", ""), source("B", "")))}, false},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRigFor(t, &account.Account{Name: "A", JetStream: account.Unlimited(true)})
			for i, body := range c.streams {
				var name string
				if _, err := fmt.Sscanf(body, `{"name":%q`, &name); err != nil {
					t.Fatal(err)
				}
				if c.cycle && i == len(c.streams)-1 {
					r.refused(wire.CodeStreamInvalidConfig, "STREAM.CREATE."+name, body)
					continue
				}
				r.ok("STREAM.CREATE."+name, body)
			}
		})
	}
}

func TestStreamsThatCopyEachOtherEndWithTheSameMessages(t *testing.T) {
	r := newRig(t)
	r.ok("STREAM.CREATE.B", from("B", "b.>", sources(source("A", "a.>"))))
	r.ok("STREAM.CREATE.A", from("A", "a.>", sources(source("B", "b.>"))))
	r.stored(1, "a.1", "x")
	r.holds("B", "1:a.1=x")
	r.stored(2, "b.1", "y")
	r.holds("A", "1:a.1=x 2:b.1=y")
	r.holds("B", "1:a.1=x 2:b.1=y")
	r.refused(wire.CodeStreamInvalidConfig, "STREAM.UPDATE.A", from("A", "a.>", sources(source("B", ""))))
}
