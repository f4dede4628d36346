package stan

import (
	"fmt"
	"strings"
)

// Streams that are channels have these keys in their metadata: the channel's name,
// and the cluster id of the door that made them. Whoever makes a stream with the
// first one makes it that channel.
const (
	MetaChannel = "weir.stan.channel"
	MetaCluster = "weir.stan.cluster"
)

// metaCapture says what a stream captures of what others publish: nothing. Its key and
// value are those of the streams' protocol.
const (
	metaCapture = "weir.capture"
	captureNone = "none"
)

// ChannelMetadata is that of a channel's stream as the door makes it.
func ChannelMetadata(channel, cluster string) map[string]string {
	return map[string]string{MetaChannel: channel, MetaCluster: cluster, metaCapture: captureNone}
}

// StreamName is the name of a channel's stream: the channel's, with a percent sign and
// two hexadecimal digits in place of each byte that streams' names may not have.
func StreamName(channel string) string {
	var b strings.Builder
	for i := range len(channel) {
		switch c := channel[i]; {
		case c <= ' ', c > '~', strings.IndexByte(`.*>/\%:`, c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DurableName is the name of the consumer that is a client's durable.
func DurableName(client, durable string) string {
	return "d-" + StreamName(client) + ":" + StreamName(durable)
}

// QueueName is the name of the consumer that is a queue group. A durable one is called
// DURABLE:GROUP.
func QueueName(group string) string { return "q-" + StreamName(group) }
