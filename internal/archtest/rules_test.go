package archtest

import "strings"

// module is this module's path.
const module = "github.com/weirmq/weir"

// steps are the floors from the ground up. A package may import only packages
// of lower steps; floor 2 has three steps. "wire/" stands for all below it. A
// package and its own subdirectories are one room and may import each other.
var steps = [][]string{
	{"subject", "record", "seqset", "timewheel", "metrics", "chunk", "vfs", "atrest", "poller", "redial", "wire/"},
	{"routing", "outbox", "partition", "consumer", "backup", "seglog", "seglog/subjects", "memlog", "journal", "multiraft"},
	{"account", "meta", "link"},
	{"auth", "broker"},
	{"stream", "group"},
	{"door/", "listen", "peer", "leaf"},
	{"monitor", "sysevent", "console"},
	{"server"},
	{"check", "simtest"},
}

// firstDoor is the lowest step that may import a wire codec.
const firstDoor = 5

// outside are packages under internal/ that belong to no floor.
var outside = []string{"archtest"}

// pure packages turn bytes or events into values: no clock, chance, file or network.
var pure = []string{"subject", "record", "seqset", "timewheel", "wire/", "routing", "consumer", "partition", "backup"}

var impureImports = []string{"net", "os", "os/exec", "io/fs", "syscall", "math/rand", "math/rand/v2", "crypto/rand", "golang.org/x/sys/unix"}

var impureTime = []string{"Now", "Sleep", "After", "AfterFunc", "Since", "Until", "NewTimer", "NewTicker", "Tick"}

// Lengths in lines.
const (
	longestFile     = 600
	longestFunction = 100
)

// mayStart are the packages whose production code has go statements: those
// whose doc.go names the goroutines they own and join.
var mayStart = []string{
	"cmd/weir", "weirtest",
	"internal/poller", "internal/outbox", "internal/journal", "internal/seglog", "internal/multiraft",
	"internal/broker", "internal/stream", "internal/group",
	"internal/door/", "internal/listen", "internal/peer", "internal/leaf",
	"internal/monitor", "internal/sysevent", "internal/server", "internal/simtest",
}

// decoders are packages whose exported Decode and Parse functions take bytes
// that anybody may have written.
var decoders = []string{"wire/", "record", "atrest", "journal", "seglog", "seqset", "consumer", "multiraft"}

// moreDecoders are decoders under other names: package and function.
var moreDecoders = map[string]string{"wire/nats": "Next", "backup": "NewReader"}

// brokers are modules that the product never imports or requires.
var brokers = []string{
	"github.com/nats-io/nats-streaming-server", "github.com/nats-io/stan.go", "github.com/liftbridge-io/",
	"github.com/mochi-mqtt/", "github.com/mochi-co/", "github.com/nsqio/nsq", "github.com/emqx/", "github.com/DrmagicE/gmqtt",
	"github.com/fhmq/hmq", "github.com/wind-c/comqtt", "github.com/volantmq/", "github.com/redpanda-data/redpanda",
	"github.com/travisjeffery/jocko", "github.com/rabbitmq/", "github.com/apache/",
}

// natsServer is imported for its configuration parser only.
const (
	natsServer     = "github.com/nats-io/nats-server/v2"
	natsServerConf = natsServer + "/conf"
	natsClient     = "github.com/nats-io/nats.go"
)

// in reports whether dir, or a directory above it, is in list. An entry that
// ends in a slash stands for what is below it.
func in(list []string, dir string) bool {
	for _, entry := range list {
		if dir == strings.TrimSuffix(entry, "/") || strings.HasPrefix(dir, strings.TrimSuffix(entry, "/")+"/") {
			return true
		}
	}
	return false
}

// stepOf returns the step of a package below internal/, -1 for none.
func stepOf(room string) int {
	for i, rooms := range steps {
		if in(rooms, room) {
			return i
		}
	}
	return -1
}
