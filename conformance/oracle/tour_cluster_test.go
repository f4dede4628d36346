package oracle_test

import (
	"time"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
)

func init() { tours["clusters"] = tourClusters }

// tourClusters makes the requests of which a single server has nothing to say.
func tourClusters(t *tour) {
	m := t.newManager(jsm.WithTimeout(500 * time.Millisecond))
	t.fails((*jsm.Manager).MetaLeaderStandDown, m, &api.Placement{Cluster: "x"})
	t.fails((*jsm.Manager).MetaPeerRemove, m, "x", "")
	t.fails((*jsm.Manager).MetaEvacuatePeer, m, "x", "")
	t.fails((*jsm.Manager).MetaPurgeAccount, m, "A")
}
