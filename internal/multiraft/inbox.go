package multiraft

import "io"

// inbox is what waits for the group's worker.
type inbox struct {
	ticks     int
	messages  []Message
	streams   []stream
	proposals []proposal
	changes   []Change
	durable   []uint64
	release   uint64
	staged    []staged
	installed []error // of the one install that runs
	sent      []CopyID
	transfer  CopyID
	campaign  bool
	failed    error
}

// stream is a message with a snapshot behind it.
type stream struct {
	Message
	body io.ReadCloser
}

type proposal struct {
	window Window
	entry  Entry
	data   []byte
}

// staged says what became of a stream that the machine read.
type staged struct {
	m   Message
	err error
}

// put changes the inbox and sees to it that somebody looks into it.
func (g *Group) put(change func(*inbox)) {
	g.mu.Lock()
	change(&g.inbox)
	g.some = true
	wake := !g.scheduled && g.pool != nil
	g.scheduled = g.scheduled || wake
	g.mu.Unlock()
	if wake {
		g.pool.schedule(g)
	}
}

// clear keeps the lists' memory.
func (in *inbox) clear() {
	clear(in.messages)
	clear(in.streams)
	clear(in.proposals)
	clear(in.staged)
	*in = inbox{
		messages: in.messages[:0], streams: in.streams[:0], proposals: in.proposals[:0],
		durable: in.durable[:0], staged: in.staged[:0],
	}
}

// take empties the inbox for the worker.
func (g *Group) take() *inbox {
	g.mu.Lock()
	g.inbox, g.spare = g.spare, g.inbox
	g.some = false
	g.mu.Unlock()
	return &g.spare
}

// rest says whether the group is to be run again; if not it is not scheduled
// any more.
func (g *Group) rest() (again bool) {
	g.spare.clear()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scheduled = g.some
	return g.scheduled
}
