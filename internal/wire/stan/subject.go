package stan

import (
	"strings"
	"unicode/utf8"
)

// DefaultCluster and DefaultDiscover are what servers and clients use where nothing
// else is configured.
const (
	DefaultCluster  = "test-cluster"
	DefaultDiscover = "_STAN.discover"
)

// Protocol is the version of the protocol that servers tell clients.
const Protocol = 1

// Subjects are those of one streaming server.
type Subjects struct {
	Discover    string // requests to connect
	Pings       string
	Publish     string // without the channel
	Subscribe   string
	Unsubscribe string
	SubClose    string
	Close       string
}

// SubjectsOf gives the subjects for a cluster's id. An empty prefix is the default.
func SubjectsOf(cluster, discover string) Subjects {
	if discover == "" {
		discover = DefaultDiscover
	}
	discover += "." + cluster
	return Subjects{
		Discover: discover, Pings: discover + ".pings", Publish: "_STAN.pub." + cluster, Subscribe: "_STAN.sub." + cluster,
		Unsubscribe: "_STAN.unsub." + cluster, SubClose: "_STAN.subclose." + cluster, Close: "_STAN.close." + cluster,
	}
}

// MaxChannel is how long the name of a channel may be, in bytes: as that of a directory,
// which a channel of the old server was. MaxName is that for all else that clients
// choose and servers keep: ids of clients and connections, names of durables and queue
// groups, inboxes.
const (
	MaxChannel = 255
	MaxName    = 1024
)

// ValidChannel says whether a channel may have this name. It may have bytes that no
// subject has, such as spaces: see RecordSubject.
func ValidChannel(name string) bool {
	return name != "" && len(name) <= MaxChannel && utf8.ValidString(name) && !strings.ContainsAny(name, "/*>") &&
		name[0] != '.' && name[len(name)-1] != '.' && !strings.Contains(name, "..")
}

// RecordSubject is the subject that a channel's messages are stored under, and which
// others than streaming clients see: the channel's name where that is a subject, else it
// is written as the name of its stream is.
func RecordSubject(channel string) string {
	if strings.ContainsFunc(channel, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return StreamName(channel)
	}
	return channel
}

// ValidPattern says whether per-channel limits may be given for this name: whole
// tokens may be "*", the last one ">".
func ValidPattern(name string) bool {
	tokens := strings.Split(name, ".")
	for i, t := range tokens {
		switch {
		case t == "*", t == ">" && i == len(tokens)-1:
		case !ValidChannel(t):
			return false
		}
	}
	return true
}

// ValidClientID says whether a client may have this id.
func ValidClientID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= MaxName
}
