package oracle_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/jsm.go/api"
)

// covered are the subjects that scripts have asked.
var covered subjects

type subjects struct {
	sync.Mutex
	list []string
}

func (s *subjects) add(more []string) {
	s.Lock()
	defer s.Unlock()
	s.list = append(s.list, more...)
}

// requests are those that jsm.go can make, as subjects to subscribe to.
var requests = []string{
	api.JSApiAccountInfo, api.JSApiAccountPurge,
	api.JSApiStreamCreate, api.JSApiStreamUpdate, api.JSApiStreamNames, api.JSApiStreamList, api.JSApiStreamInfo,
	api.JSApiStreamDeletePrefix + ".*", api.JSApiStreamPurge, api.JSApiMsgDelete, api.JSApiMsgGet, api.JSApiStreamSnapshot,
	api.JSApiStreamRestore, api.JSApiStreamRemovePeer, api.JSApiStreamLeaderStepDown,
	api.JSApiConsumerCreate, api.JSApiConsumerCreateWithName, api.JSApiDurableCreate, api.JSApiConsumerNames,
	api.JSApiConsumerList, api.JSApiConsumerInfo, api.JSApiConsumerDeletePrefix + ".*.*", api.JSApiConsumerLeaderStepDown,
	api.JSApiConsumerPause, api.JSApiConsumerUnpin, api.JSApiConsumerReset, api.JSApiRequestNext,
	api.JSApiStreamCancelMove, api.JSApiStreamEvacuatePeer, api.JSApiConsumerEvacuatePeer,
	api.JSApiLeaderStepDown, api.JSApiRemoveServer, api.JSApiEvacuateServer, api.JSApiRescueRequest,
	"$JS.API.DIRECT.GET.*", "$JS.API.DIRECT.GET.*.>",
}

// checkEveryRequestIsAsked fails for requests of jsm.go that no script makes.
func checkEveryRequestIsAsked(t *testing.T) {
	for _, pattern := range requests {
		found := false
		for _, s := range covered.list {
			found = found || within(pattern, s)
		}
		if !found {
			t.Errorf("no script asks %s", pattern)
		}
	}
}

// within says whether a subject is one that a pattern with wildcards takes.
func within(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}
