package broker

// Link is a sink that leads to another server. What it publishes came from there:
// streams acknowledge that only if they say so, and it goes over no other link.
type Link interface {
	Sink
	Link() // marks it
}
