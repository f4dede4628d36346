package leaf

import (
	"bytes"

	"github.com/weirmq/weir/internal/broker"
)

// bucketPrefixes begin the subjects of key-value and object buckets. They stay on their
// side; with "$JS.<domain>.API." in front they are for the side that has the domain.
var bucketPrefixes = []string{"$KV.", "$OBJ."}

// buckets brings what the other side's clients put into buckets here.
type buckets struct {
	prefix []byte            // "$JS.<domain>.API."; nil: there is no JetStream here
	pub    *broker.Publisher // nil before the first
}

func (b *buckets) init(domain string) {
	if domain != "" {
		b.prefix = []byte(domainPrefix(domain))
	}
}

// domainPrefix begins the subjects by which JetStream of a domain is asked.
func domainPrefix(domain string) string { return "$JS." + domain + ".API." }

// inside gives the bucket's subject that a message is meant for; nil: for none.
func (b *buckets) inside(subject []byte) []byte {
	rest, ok := bytes.CutPrefix(subject, b.prefix)
	if !ok || b.prefix == nil {
		return nil
	}
	for _, p := range bucketPrefixes {
		if bytes.HasPrefix(rest, []byte(p)) {
			return rest
		}
	}
	return nil
}

// deliver publishes a message under a bucket's subject. Who names the domain means this
// server, so that it is acknowledged as if it came from a client here.
func (b *buckets) deliver(space *broker.Space, m *broker.Message, subject []byte) *broker.Result {
	if b.pub == nil {
		b.pub = broker.NewPublisher(space, broker.PublisherOptions{Echo: true, CacheBytes: bucketCache})
	}
	inner := *m
	inner.Subject, inner.Tail, inner.Groups = subject, nil, nil
	r := b.pub.Publish(&inner)
	return &r
}

// bucketCache bounds what is remembered of where buckets' subjects lead.
const bucketCache = 1 << 20

func (b *buckets) handOver() {
	if b.pub != nil {
		b.pub.HandOver()
	}
}

func (b *buckets) release() {
	if b.pub != nil {
		b.pub.Release()
	}
}
