package jetstream

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var plainStream = StreamConfig{Name: "S", Subjects: []string{"s.>"}}

func consumer(change func(*ConsumerConfig)) *ConsumerConfig {
	c := &ConsumerConfig{Durable: "C", AckPolicy: AckExplicit}
	if change != nil {
		change(c)
	}
	return c
}

func storedConsumer(t *testing.T, change func(*ConsumerConfig)) *ConsumerConfig {
	t.Helper()
	c := consumer(change)
	if err := c.Check(ConsumerOptions{Stream: &plainStream}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConsumerDefaultsAreShown(t *testing.T) {
	b, _ := json.Marshal(storedConsumer(t, nil))
	const want = `{"durable_name":"C","name":"C","deliver_policy":"all","ack_policy":"explicit","ack_wait":30000000000,` +
		`"max_deliver":-1,"replay_policy":"instant","max_waiting":512,"max_ack_pending":1000,"num_replicas":0,` +
		`"metadata":{"_nats.req.level":"0"}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	c := storedConsumer(t, func(c *ConsumerConfig) { *c = ConsumerConfig{Name: "e"} })
	if c.InactiveThreshold != 5*time.Second || c.AckWait != 0 || c.MaxAckPending != 0 || c.Durable != "" {
		t.Errorf("ephemeral: %+v", c)
	}
}

func TestConsumerLimitsAreDefaults(t *testing.T) {
	s := StreamConfig{Name: "S", ConsumerLimits: ConsumerLimits{InactiveThreshold: time.Minute, MaxAckPending: 50}}
	c := consumer(nil)
	if err := c.Check(ConsumerOptions{Stream: &s}); err != nil || c.InactiveThreshold != time.Minute || c.MaxAckPending != 50 {
		t.Errorf("%+v, %v", c, err)
	}
	c = consumer(nil)
	if err := c.Check(ConsumerOptions{Stream: &plainStream, MaxAckPending: 20}); err != nil || c.MaxAckPending != 20 {
		t.Errorf("%+v, %v", c, err)
	}
	c = consumer(func(c *ConsumerConfig) { c.MaxAckPending = 51 })
	if err := c.Check(ConsumerOptions{Stream: &s}); !err.Has(CodeMaxAckPendingExcess) || !strings.HasSuffix(err.Description, "of 50") {
		t.Error(err)
	}
	c = consumer(func(c *ConsumerConfig) { c.InactiveThreshold = time.Hour })
	if err := c.Check(ConsumerOptions{Stream: &s}); !err.Has(CodeInactiveThresholdExcess) || !strings.HasSuffix(err.Description, "of 1m0s") {
		t.Error(err)
	}
	c = consumer(func(c *ConsumerConfig) { c.MaxRequestBatch = 11 })
	if err := c.Check(ConsumerOptions{Stream: &plainStream, MaxRequestBatch: 10}); !err.Has(CodeRequestBatchExceeded) {
		t.Error(err)
	}
}

func TestBackoffSetsTheAckWait(t *testing.T) {
	c := storedConsumer(t, func(c *ConsumerConfig) {
		c.AckWait, c.Backoff, c.MaxDeliver = time.Minute, []time.Duration{time.Second, time.Hour}, 2
	})
	if c.AckWait != time.Second {
		t.Fatal(c.AckWait)
	}
}

func TestPedanticModeRefusesConsumerCorrections(t *testing.T) {
	for name, change := range map[string]func(*ConsumerConfig){
		"max_deliver":     func(c *ConsumerConfig) { c.MaxDeliver = -2 },
		"max_waiting":     func(c *ConsumerConfig) { c.MaxWaiting = -1 },
		"max_batch":       func(c *ConsumerConfig) { c.MaxRequestBatch = -1 },
		"max_expires":     func(c *ConsumerConfig) { c.MaxRequestExpires = -1 },
		"max_bytes":       func(c *ConsumerConfig) { c.MaxRequestMaxBytes = -1 },
		"max_ack_pending": func(c *ConsumerConfig) { c.MaxAckPending = -2 },
		"ack_wait":        func(c *ConsumerConfig) { c.AckWait, c.Backoff = 1, []time.Duration{5} },
	} {
		err := consumer(change).Check(ConsumerOptions{Stream: &plainStream, Pedantic: true})
		if !err.Has(CodePedantic) || !strings.HasPrefix(err.Description, "pedantic mode: "+name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := consumer(change).Check(ConsumerOptions{Stream: &plainStream}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type consumerRule struct {
	change func(*ConsumerConfig)
	code   int // 0: accepted
}

func TestConsumerRules(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	checkConsumerRules(t, map[string]consumerRule{
		"nothing more":       {nil, 0},
		"nothing at all":     {func(c *ConsumerConfig) { *c = ConsumerConfig{} }, 0},
		"ack all":            {func(c *ConsumerConfig) { c.AckPolicy = AckAll }, 0},
		"dot in name":        {func(c *ConsumerConfig) { c.Durable = "a.b" }, CodeBadDurableName},
		"slash in name":      {func(c *ConsumerConfig) { c.Durable = "a/b" }, CodeConsumerNameSeparators},
		"space in name":      {func(c *ConsumerConfig) { c.Durable = "a b" }, CodeStreamInvalidConfig},
		"long name":          {func(c *ConsumerConfig) { c.Durable = strings.Repeat("n", 256) }, CodeConsumerNameTooLong},
		"two names":          {func(c *ConsumerConfig) { c.Name = "D" }, CodeDurableAndNameMismatch},
		"negative replicas":  {func(c *ConsumerConfig) { c.Replicas = -1 }, CodeReplicasNegative},
		"one replica":        {func(c *ConsumerConfig) { c.Replicas = 1 }, 0},
		"three replicas":     {func(c *ConsumerConfig) { c.Replicas = 3 }, CodeReplicasNotSupported},
		"negative backoff":   {func(c *ConsumerConfig) { c.Backoff = []time.Duration{5, -1} }, CodeBackoffNegative},
		"negative wait":      {func(c *ConsumerConfig) { c.AckWait = -1 }, CodeAckWaitNegative},
		"backoff over max":   {func(c *ConsumerConfig) { c.Backoff, c.MaxDeliver = []time.Duration{1, 2}, 1 }, CodeMaxDeliverBackoff},
		"long description":   {func(c *ConsumerConfig) { c.Description = strings.Repeat("n", 4097) }, CodeConsumerDescription},
		"rate limit":         {func(c *ConsumerConfig) { c.RateLimit = 1 }, CodePullWithRateLimit},
		"heartbeat":          {func(c *ConsumerConfig) { c.IdleHeartbeat = 1 }, CodeHeartbeatRequiresPush},
		"flow control":       {func(c *ConsumerConfig) { c.FlowControl = true }, CodeFlowControlRequiresPush},
		"short expires":      {func(c *ConsumerConfig) { c.MaxRequestExpires = 1 }, CodeRequestExpiresTooSmall},
		"unlimited pending":  {func(c *ConsumerConfig) { c.MaxAckPending = -1 }, 0},
		"negative threshold": {func(c *ConsumerConfig) { c.InactiveThreshold = -1 }, 0},
		"direct":             {func(c *ConsumerConfig) { c.Direct = true }, CodeDirectRequiresPush},
		"filter":             {func(c *ConsumerConfig) { c.FilterSubject = "a.>" }, 0},
		"one of filters":     {func(c *ConsumerConfig) { c.FilterSubjects = []string{"a"} }, 0},
		"both filters":       {func(c *ConsumerConfig) { c.FilterSubject, c.FilterSubjects = "a", []string{"b"} }, CodeDuplicateFilterSubjects},
		"bad filter":         {func(c *ConsumerConfig) { c.FilterSubject = "a..b" }, CodeStreamInvalidConfig},
		"bad filters":        {func(c *ConsumerConfig) { c.FilterSubjects = []string{"a", "b."} }, CodeStreamInvalidConfig},
		"empty filter":       {func(c *ConsumerConfig) { c.FilterSubjects = []string{"a", ""} }, CodeEmptyFilter},
		"overlapping":        {func(c *ConsumerConfig) { c.FilterSubjects = []string{"a.*", "a.b"} }, CodeOverlappingFilters},
		"too many filters":   {func(c *ConsumerConfig) { c.FilterSubjects = make([]string, maxSubjects+1) }, CodeConsumerCreate},
		"from sequence":      {func(c *ConsumerConfig) { c.DeliverPolicy, c.OptStartSeq = DeliverByStartSequence, 5 }, 0},
		"from no sequence":   {func(c *ConsumerConfig) { c.DeliverPolicy = DeliverByStartSequence }, CodeConsumerInvalidPolicy},
		"from time":          {func(c *ConsumerConfig) { c.DeliverPolicy, c.OptStartTime = DeliverByStartTime, &now }, 0},
		"from no time":       {func(c *ConsumerConfig) { c.DeliverPolicy = DeliverByStartTime }, CodeConsumerInvalidPolicy},
		"from the zero time": {func(c *ConsumerConfig) { c.DeliverPolicy, c.OptStartTime = DeliverByStartTime, &time.Time{} }, 0},
		"from both, time":    {func(c *ConsumerConfig) { c.DeliverPolicy, c.OptStartTime, c.OptStartSeq = DeliverByStartTime, &now, 1 }, CodeConsumerInvalidPolicy},
		"from both, sequence": {func(c *ConsumerConfig) {
			c.DeliverPolicy, c.OptStartTime, c.OptStartSeq = DeliverByStartSequence, &now, 1
		}, CodeConsumerInvalidPolicy},
		"all from sequence": {func(c *ConsumerConfig) { c.OptStartSeq = 1 }, CodeConsumerInvalidPolicy},
		"last of a subject": {func(c *ConsumerConfig) { c.DeliverPolicy, c.FilterSubject = DeliverLastPerSubject, "a.>" }, 0},
		"last of nothing":   {func(c *ConsumerConfig) { c.DeliverPolicy = DeliverLastPerSubject }, CodeConsumerInvalidPolicy},
		"no samples":        {func(c *ConsumerConfig) { c.SampleFreq = "0%" }, 0},
		"bad samples":       {func(c *ConsumerConfig) { c.SampleFreq = "many" }, CodeInvalidSampling},
		"negative samples":  {func(c *ConsumerConfig) { c.SampleFreq = "-1" }, CodeInvalidSampling},
		"large metadata":    {func(c *ConsumerConfig) { c.Metadata = map[string]string{"a": strings.Repeat("n", 131072)} }, CodeConsumerMetadata},
	})
}

func TestPushRules(t *testing.T) {
	push := func(change func(*ConsumerConfig)) func(*ConsumerConfig) {
		return func(c *ConsumerConfig) {
			c.DeliverSubject = "d"
			change(c)
		}
	}
	checkConsumerRules(t, map[string]consumerRule{
		"wildcard":            {push(func(c *ConsumerConfig) { c.DeliverSubject = "d.*" }), CodeDeliverToWildcards},
		"invalid":             {push(func(c *ConsumerConfig) { c.DeliverSubject = "d..a" }), CodeInvalidDeliverSubject},
		"cycle":               {push(func(c *ConsumerConfig) { c.DeliverSubject = "s.a" }), 10081},
		"max waiting":         {push(func(c *ConsumerConfig) { c.MaxWaiting = 1 }), CodePushMaxWaiting},
		"pending without ack": {push(func(c *ConsumerConfig) { c.AckPolicy, c.MaxAckPending = AckNone, 1 }), CodeMaxAckPendingNeedsAck},
		"small heartbeat":     {push(func(c *ConsumerConfig) { c.IdleHeartbeat = 1 }), CodeSmallHeartbeat},
		"flow control alone":  {push(func(c *ConsumerConfig) { c.FlowControl = true }), CodeFlowControlNeedsHeartbeat},
		"durable direct":      {push(func(c *ConsumerConfig) { c.Direct = true }), CodeDirectRequiresEphemeral},
		"groups":              {push(func(c *ConsumerConfig) { c.PriorityPolicy = PriorityOverflow }), CodePushWithPriorityGroup},
	})
}

func TestRulesOfFlowControlAcks(t *testing.T) {
	flow := func(change func(*ConsumerConfig)) func(*ConsumerConfig) {
		return func(c *ConsumerConfig) {
			*c = ConsumerConfig{Durable: "C", AckPolicy: AckFlowControl, DeliverSubject: "d", FlowControl: true,
				IdleHeartbeat: time.Second, MaxAckPending: 5}
			change(c)
		}
	}
	checkConsumerRules(t, map[string]consumerRule{
		"pull":       {flow(func(c *ConsumerConfig) { c.DeliverSubject = "" }), CodeAckFCRequiresPush},
		"no control": {flow(func(c *ConsumerConfig) { c.FlowControl = false }), 0},             // it goes without saying
		"heartbeat":  {flow(func(c *ConsumerConfig) { c.IdleHeartbeat = 2 * time.Second }), 0}, // nor is there a choice
		"pending":    {flow(func(c *ConsumerConfig) { c.MaxAckPending = 0 }), 0},
		"unlimited":  {flow(func(c *ConsumerConfig) { c.MaxAckPending = -1 }), CodeAckFCRequiresMaxPending},
		"wait":       {flow(func(c *ConsumerConfig) { c.AckWait = 1 }), CodeAckFCRequiresNoAckWait},
		"deliver":    {flow(func(c *ConsumerConfig) { c.MaxDeliver = 1 }), CodeAckFCRequiresNoMaxDeliver},
	})
	c := consumer(flow(func(c *ConsumerConfig) { c.FlowControl, c.IdleHeartbeat = false, 0 }))
	if err := c.Check(ConsumerOptions{Stream: &plainStream}); err != nil || !c.FlowControl || c.IdleHeartbeat != time.Second {
		t.Errorf("what goes without saying: %v, %+v", err, c)
	}
	c = consumer(flow(func(c *ConsumerConfig) { c.IdleHeartbeat = 0 }))
	if err := c.Check(ConsumerOptions{Stream: &plainStream, Pedantic: true}); !err.Has(CodeStreamInvalidConfig) {
		t.Errorf("for pedants it does not: %v", err)
	}
}

func TestRulesOfPriorityGroups(t *testing.T) {
	groups := func(p PriorityPolicy, names ...string) func(*ConsumerConfig) {
		return func(c *ConsumerConfig) { c.PriorityPolicy, c.PriorityGroups = p, names }
	}
	checkConsumerRules(t, map[string]consumerRule{
		"no policy":  {groups(PriorityNone, "a"), CodePriorityGroupPolicyNone},
		"no group":   {groups(PriorityOverflow), CodePriorityWithoutGroup},
		"empty name": {groups(PriorityOverflow, ""), CodeEmptyGroupName},
		"bad name":   {groups(PriorityOverflow, "a b"), CodeInvalidGroupName},
		"long name":  {groups(PriorityOverflow, strings.Repeat("a", 17)), CodeInvalidGroupName},
		"timeout":    {func(c *ConsumerConfig) { c.PriorityTimeout = 1 }, CodePinnedTTLPolicyNone},
	})
}

func TestAPriorityTimeoutBelowZeroIsNone(t *testing.T) {
	for policy, want := range map[PriorityPolicy]time.Duration{PriorityOverflow: 0, PriorityPinnedClient: 2 * time.Minute} {
		c := consumer(func(c *ConsumerConfig) {
			c.PriorityPolicy, c.PriorityGroups, c.PriorityTimeout = policy, []string{"g"}, -1
		})
		if err := c.Check(ConsumerOptions{Stream: &plainStream}); err != nil || c.PriorityTimeout != want {
			t.Errorf("%v: %v, %v", policy, err, c.PriorityTimeout)
		}
	}
}

func checkConsumerRules(t *testing.T, rules map[string]consumerRule) {
	t.Helper()
	for name, c := range rules {
		err := consumer(c.change).Check(ConsumerOptions{Stream: &plainStream})
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
		if err != nil && strings.Contains(err.Description, "{") {
			t.Errorf("%s: %v keeps a placeholder", name, err)
		}
	}
}

func TestConsumerCreateRequest(t *testing.T) {
	named := Request{Kind: KindConsumerCreate, Stream: "S", Consumer: "C"}
	filtered := Request{Kind: KindConsumerCreate, Stream: "S", Consumer: "C", Filter: "a.*"}
	durable := Request{Kind: KindConsumerCreateDurable, Stream: "S", Consumer: "C"}
	legacy := Request{Kind: KindConsumerCreateLegacy, Stream: "S"}
	for _, c := range []struct {
		req    Request
		stream string
		config string
		code   int
	}{
		{named, "S", `{}`, 0},
		{named, "S", `{"durable_name":"C","name":"C"}`, 0},
		{named, "S", `{"durable_name":"D"}`, CodeConsumerNameMismatch},
		{named, "S", `{"name":"D"}`, 0},
		{named, "T", `{}`, CodeStreamMismatch},
		{named, "S", `{"name":"a/b"}`, CodeConsumerNameSeparators},
		{named, "S", `{"num_replicas":3}`, CodeReplicasNotSupported},
		{named, "S", `{"ack_policy":"maybe"}`, CodeInvalidJSON},
		{named, "S", `{"nak_policy":"none"}`, CodeInvalidJSON},
		{filtered, "S", `{"filter_subject":"a.*"}`, 0},
		{filtered, "S", `{"filter_subject":"a.b"}`, CodeCreateFilterMismatch},
		{filtered, "S", `{}`, CodeCreateFilterMismatch},
		{filtered, "S", `{"filter_subjects":["a.*"]}`, CodeMultipleFiltersInSubject},
		{durable, "S", `{"durable_name":"C"}`, 0},
		{durable, "S", `{"durable_name":"D"}`, CodeConsumerNameMismatch},
		{durable, "S", `{}`, CodeDurableNotSet},
		{legacy, "S", `{"name":"X"}`, 0},
		{legacy, "S", `{"durable_name":"C"}`, CodeEphemeralWithDurable},
	} {
		body := `{"stream_name":"` + c.stream + `","config":` + c.config + `,"action":""}`
		r, err := Decoder{}.DecodeConsumerCreate(c.req, []byte(body))
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s %s: %v, want %d", c.req.Kind.Name(), body, err, c.code)
		}
		if err == nil && c.req.Kind == KindConsumerCreate && r.Config.Name != "C" {
			t.Errorf("%s: name %q", body, r.Config.Name)
		}
	}
	if _, err := (Decoder{}).DecodeConsumerCreate(legacy, []byte(`{"stream_name":"S","action":"replace"}`)); !err.Has(CodeInvalidJSON) {
		t.Error(err)
	}
}

func TestActionsDecide(t *testing.T) {
	old := storedConsumer(t, nil)
	changed := func(c *ConsumerConfig) { c.MaxAckPending = 7 }
	broken := func(c *ConsumerConfig) { c.DeliverPolicy = DeliverNew }
	for _, c := range []struct {
		action   Action
		existing *ConsumerConfig
		change   func(*ConsumerConfig)
		code     int
	}{
		{ActionCreateOrUpdate, nil, nil, 0},
		{ActionCreate, nil, nil, 0},
		{ActionUpdate, nil, nil, CodeConsumerDoesNotExist},
		{ActionCreateOrUpdate, old, nil, 0},
		{ActionCreate, old, nil, 0},
		{ActionUpdate, old, nil, 0},
		{ActionCreateOrUpdate, old, changed, 0},
		{ActionCreate, old, changed, CodeConsumerAlreadyExists},
		{ActionUpdate, old, changed, 0},
		{ActionCreateOrUpdate, old, broken, CodeConsumerCreate},
		{ActionUpdate, old, broken, CodeConsumerCreate},
	} {
		r := ConsumerCreateRequest{Config: *storedConsumer(t, c.change), Action: c.action}
		err := r.Decide(c.existing)
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%q over %v: %v, want %d", c.action, c.existing != nil, err, c.code)
		}
	}
}

func TestConsumerUpdateRules(t *testing.T) {
	old := storedConsumer(t, nil)
	for text, change := range map[string]func(*ConsumerConfig){
		"deliver policy":    func(c *ConsumerConfig) { c.DeliverPolicy = DeliverLast },
		"start sequence":    func(c *ConsumerConfig) { c.OptStartSeq = 4 },
		"ack policy":        func(c *ConsumerConfig) { c.AckPolicy = AckAll },
		"replay policy":     func(c *ConsumerConfig) { c.ReplayPolicy = ReplayOriginal },
		"max waiting":       func(c *ConsumerConfig) { c.MaxWaiting = 5 },
		"memory storage":    func(c *ConsumerConfig) { c.MemoryStorage = true },
		"name":              func(c *ConsumerConfig) { c.Name = "D" },
		"push or pull mode": func(c *ConsumerConfig) { c.DeliverSubject = "d" },
	} {
		next := old.Clone()
		change(next)
		err := old.CheckUpdate(next)
		if !err.Has(CodeConsumerCreate) || err.Code != 500 || err.Description != text+" can not be updated" {
			t.Errorf("%s: %v", text, err)
		}
	}
	next := storedConsumer(t, func(c *ConsumerConfig) {
		c.Description, c.AckWait, c.MaxDeliver, c.FilterSubject = "d", time.Second, 3, "s.a"
		c.MaxAckPending, c.HeadersOnly, c.InactiveThreshold = 5, true, time.Hour
		c.Metadata = map[string]string{"a": "b"}
	})
	if err := old.CheckUpdate(next); err != nil {
		t.Error(err)
	}
}

func TestEqualTimesInOtherZonesAreEqual(t *testing.T) {
	at := func(s string) *ConsumerConfig {
		when, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return storedConsumer(t, func(c *ConsumerConfig) { c.DeliverPolicy, c.OptStartTime = DeliverByStartTime, &when })
	}
	a, b := at("2026-01-01T12:00:00Z"), at("2026-01-01T14:00:00+02:00")
	if !a.Equal(b) || a.CheckUpdate(b) != nil || a.Equal(at("2026-01-01T14:00:00Z")) {
		t.Fatal("times are compared wrongly")
	}
}
