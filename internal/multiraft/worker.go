package multiraft

// worker runs groups and gathers what they send, so that a node gets the messages
// of many groups at once. One goroutine uses it.
type worker struct {
	pool  *Pool
	since int // groups that ran since the last flush
	nodes []outgoing
}

// outgoing is what goes to one node.
type outgoing struct {
	node  uint32
	batch []Message
}

// run lets a group do what it has to do.
func (w *worker) run(g *Group) {
	g.out = w
	again := g.run()
	if again {
		w.pool.schedule(g)
	}
	if w.since++; w.since >= flushAfter {
		w.flush()
	}
}

// send puts a message to those for the same node, of which there are few.
func (w *worker) send(m Message) {
	node := NodeOf(m.To)
	for i := range w.nodes {
		if w.nodes[i].node == node {
			w.nodes[i].batch = append(w.nodes[i].batch, m)
			return
		}
	}
	w.nodes = append(w.nodes, outgoing{node, []Message{m}})
}

// flush hands over what was gathered.
func (w *worker) flush() {
	w.since = 0
	for i := range w.nodes {
		o := &w.nodes[i]
		if len(o.batch) == 0 {
			continue
		}
		w.pool.transport.Send(o.node, o.batch)
		clear(o.batch)
		o.batch = o.batch[:0]
	}
}
