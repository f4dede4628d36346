package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows on a terminal how far a long run is: one line on standard
// error, from two seconds on, renewed ten times a second at most.
type progress struct {
	out         io.Writer // nil: show nothing
	what        string    // that is going on, before the figures
	start, next time.Time
	shown       bool
}

func (a *app) newProgress(quiet bool) progress {
	p := progress{start: time.Now()}
	if a.errTerm && !quiet {
		p.out = a.err
	}
	p.next = p.start.Add(2 * time.Second)
	return p
}

func (p *progress) show(messages, bytes uint64) {
	if p.out == nil || messages%64 != 0 {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(100*time.Millisecond), true
	fmt.Fprintf(p.out, "\r%s%s messages, %s, %s\x1b[K", p.what, thousands(messages), humanBytes(bytes), rate(messages, now.Sub(p.start)))
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// showCount shows how many of a known number of messages are done.
func (p *progress) showCount(done, total uint64) {
	if p.out == nil || done%64 != 0 {
		return
	}
	now := time.Now()
	if now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(100*time.Millisecond), true
	fmt.Fprintf(p.out, "\r%s%s of %s messages, %d %%, %s\x1b[K", p.what, thousands(done), thousands(total), 100*done/max(total, 1), rate(done, now.Sub(p.start)))
}
