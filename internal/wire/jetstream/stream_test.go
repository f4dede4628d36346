package jetstream

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func stream(change func(*StreamConfig)) *StreamConfig {
	c := &StreamConfig{Name: "S", Subjects: []string{"s.>"}}
	if change != nil {
		change(c)
	}
	return c
}

// stored gives a stream's configuration as the server keeps it.
func stored(t *testing.T, change func(*StreamConfig)) *StreamConfig {
	t.Helper()
	c := stream(change)
	if err := c.Check(StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStreamDefaultsAreShown(t *testing.T) {
	c := &StreamConfig{Name: "ORDERS"}
	if err := c.Check(StreamOptions{}); err != nil {
		t.Fatal(err)
	}
	b, _ := json.Marshal(c)
	const want = `{"name":"ORDERS","subjects":["ORDERS"],"retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,` +
		`"max_age":0,"max_msgs_per_subject":-1,"max_msg_size":-1,"discard":"old","storage":"file","num_replicas":1,` +
		`"duplicate_window":120000000000,"compression":"none","allow_direct":false,"mirror_direct":false,"sealed":false,` +
		`"deny_delete":false,"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{},"allow_msg_ttl":false,` +
		`"metadata":{"_nats.req.level":"0"}}`
	if string(b) != want {
		t.Fatalf("got  %s\nwant %s", b, want)
	}
}

func TestDuplicateWindowDefault(t *testing.T) {
	for _, c := range []struct{ age, server, want time.Duration }{
		{0, 0, 2 * time.Minute},
		{time.Minute, 0, time.Minute},
		{time.Hour, 0, 2 * time.Minute},
		{0, 30 * time.Second, 30 * time.Second},
		{10 * time.Second, 30 * time.Second, 10 * time.Second},
	} {
		s := stream(func(s *StreamConfig) { s.MaxAge = c.age })
		if err := s.Check(StreamOptions{MaxDuplicateWindow: c.server}); err != nil || s.DuplicateWindow != c.want {
			t.Errorf("%+v: %v, %v", c, s.DuplicateWindow, err)
		}
	}
}

func TestPedanticModeRefusesCorrections(t *testing.T) {
	for name, change := range map[string]func(*StreamConfig){
		"max_msgs":             func(c *StreamConfig) { c.MaxMsgs = -2 },
		"max_bytes":            func(c *StreamConfig) { c.MaxBytes = -2 },
		"max_msgs_per_subject": func(c *StreamConfig) { c.MaxMsgsPerSubject = -2 },
		"max_msg_size":         func(c *StreamConfig) { c.MaxMsgSize = -2 },
		"max_consumers":        func(c *StreamConfig) { c.MaxConsumers = -2 },
		"duplicate_window":     func(c *StreamConfig) { c.MaxAge = time.Second },
	} {
		err := stream(change).Check(StreamOptions{Pedantic: true})
		if !err.Has(CodePedantic) || !strings.HasPrefix(err.Description, "pedantic mode: "+name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := stream(change).Check(StreamOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := stream(nil).Check(StreamOptions{Pedantic: true}); err != nil {
		t.Error(err)
	}
}

func TestStreamRules(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*StreamConfig)
		code   int // 0: accepted
	}{
		"nothing more":                {nil, 0},
		"key-value bucket":            {func(c *StreamConfig) { *c = kvBucket() }, 0},
		"no name":                     {func(c *StreamConfig) { c.Name = "" }, CodeStreamInvalidConfig},
		"dot in name":                 {func(c *StreamConfig) { c.Name = "a.b" }, CodeStreamInvalidConfig},
		"name of 255 bytes":           {func(c *StreamConfig) { c.Name = strings.Repeat("n", 255) }, 0},
		"name of 256 bytes":           {func(c *StreamConfig) { c.Name = strings.Repeat("n", 256) }, CodeStreamInvalidConfig},
		"long description":            {func(c *StreamConfig) { c.Description = strings.Repeat("n", 4097) }, CodeStreamInvalidConfig},
		"large metadata":              {func(c *StreamConfig) { c.Metadata = map[string]string{"a": strings.Repeat("n", 131072)} }, CodeStreamInvalidConfig},
		"largest metadata":            {func(c *StreamConfig) { c.Metadata = map[string]string{"a": strings.Repeat("n", 131071)} }, 0},
		"negative replicas":           {func(c *StreamConfig) { c.Replicas = -1 }, CodeReplicasNegative},
		"three replicas":              {func(c *StreamConfig) { c.Replicas = 3 }, CodeReplicasNotSupported},
		"six replicas":                {func(c *StreamConfig) { c.Replicas = 6 }, CodeStreamInvalidConfig},
		"short age":                   {func(c *StreamConfig) { c.MaxAge = 99 * time.Millisecond }, CodeStreamInvalidConfig},
		"shortest age":                {func(c *StreamConfig) { c.MaxAge = 100 * time.Millisecond }, 0},
		"negative age":                {func(c *StreamConfig) { c.MaxAge = -1 }, CodeStreamInvalidConfig},
		"negative window":             {func(c *StreamConfig) { c.DuplicateWindow = -1 }, CodeStreamInvalidConfig},
		"short window":                {func(c *StreamConfig) { c.DuplicateWindow = 1 }, CodeStreamInvalidConfig},
		"window over age":             {func(c *StreamConfig) { c.MaxAge, c.DuplicateWindow = time.Second, time.Minute }, CodeStreamInvalidConfig},
		"rollup without purge":        {func(c *StreamConfig) { c.DenyPurge, c.AllowRollup = true, true }, CodeStreamInvalidConfig},
		"discard new per subject":     {func(c *StreamConfig) { c.DiscardNewPerSubject, c.Discard, c.MaxMsgsPerSubject = true, DiscardNew, 1 }, 0},
		"per subject without new":     {func(c *StreamConfig) { c.DiscardNewPerSubject, c.MaxMsgsPerSubject = true, 1 }, CodeStreamInvalidConfig},
		"per subject without a limit": {func(c *StreamConfig) { c.DiscardNewPerSubject, c.Discard = true, DiscardNew }, CodeStreamInvalidConfig},
		"short marker":                {func(c *StreamConfig) { c.SubjectDeleteMarkerTTL = 1 }, CodeStreamInvalidConfig},
		"rollup, markers, no purge":   {func(c *StreamConfig) { c.SubjectDeleteMarkerTTL, c.AllowRollup, c.DenyPurge = time.Second, true, true }, CodeStreamInvalidConfig},
		"rollup, schedule, no purge":  {func(c *StreamConfig) { c.AllowMsgSchedules, c.AllowRollup, c.DenyPurge = true, true, true }, CodeStreamInvalidConfig},
		"preferred server":            {func(c *StreamConfig) { c.Placement = &Placement{Preferred: "x"} }, CodeStreamInvalidConfig},
		"empty placement":             {func(c *StreamConfig) { c.Placement = &Placement{} }, 0},
		"mirror with subjects":        {func(c *StreamConfig) { c.Mirror = &StreamSource{Name: "T"} }, CodeMirrorWithSubjects},
		"mirror with first sequence":  {func(c *StreamConfig) { c.Mirror, c.FirstSeq = &StreamSource{Name: "T"}, 5 }, CodeMirrorWithFirstSeq},
		"was a mirror":                {func(c *StreamConfig) { c.MirrorDirect = true }, 0}, // see TestAStreamIsNotCreatedWithWhatMirrorsHave
		"invalid subject":             {func(c *StreamConfig) { c.Subjects = []string{"a..b"} }, CodeStreamInvalidConfig},
		"subject twice":               {func(c *StreamConfig) { c.Subjects = []string{"a", "a"} }, CodeStreamInvalidConfig},
		"overlapping subjects":        {func(c *StreamConfig) { c.Subjects = []string{"a.*", "a.b"} }, CodeStreamInvalidConfig},
		"all subjects":                {func(c *StreamConfig) { c.Subjects = []string{">"} }, CodeStreamInvalidConfig},
		"all subjects unacknowledged": {func(c *StreamConfig) { c.Subjects, c.NoAck = []string{">"}, true }, 0},
		"API subjects":                {func(c *StreamConfig) { c.Subjects = []string{"$JS.API.>"} }, CodeStreamInvalidConfig},
		"API subjects by wildcard":    {func(c *StreamConfig) { c.Subjects = []string{"*.API.x"} }, CodeStreamInvalidConfig},
		"API events":                  {func(c *StreamConfig) { c.Subjects = []string{"$JS.EVENT.ADVISORY.>"} }, 0},
		"system subjects":             {func(c *StreamConfig) { c.Subjects = []string{"$SYS.>"} }, CodeStreamInvalidConfig},
		"system account events":       {func(c *StreamConfig) { c.Subjects = []string{"$SYS.ACCOUNT.A.CONNECT"} }, 0},
		"system unacknowledged":       {func(c *StreamConfig) { c.Subjects, c.NoAck = []string{"$SYS.>"}, true }, 0},
		"too many subjects":           {func(c *StreamConfig) { c.Subjects = make([]string, maxSubjects+1) }, CodeStreamInvalidConfig},
		"negative consumer limit":     {func(c *StreamConfig) { c.ConsumerLimits.InactiveThreshold = -1 }, CodeStreamInvalidConfig},
		"a place":                     {func(c *StreamConfig) { c.Placement = &Placement{Cluster: "c", Tags: []string{"t"}} }, 0},
		"async":                       {func(c *StreamConfig) { c.PersistMode = PersistAsync }, 0},
		"async and atomic":            {func(c *StreamConfig) { c.PersistMode, c.AllowAtomicPublish = PersistAsync, true }, CodeStreamInvalidConfig},
		"batches":                     {func(c *StreamConfig) { c.AllowAtomicPublish, c.AllowBatchPublish = true, true }, 0},
		"mirror with atomic batches": {func(c *StreamConfig) {
			c.Mirror, c.Subjects, c.AllowAtomicPublish = &StreamSource{Name: "T"}, nil, true
		}, CodeMirrorWithAtomicPublish},
		"mirror with fast batches":   {func(c *StreamConfig) { c.Mirror, c.Subjects, c.AllowBatchPublish = &StreamSource{Name: "T"}, nil, true }, CodeMirrorWithBatchPublish},
		"counter":                    {func(c *StreamConfig) { c.AllowMsgCounter = true }, 0},
		"counter with TTLs":          {func(c *StreamConfig) { c.AllowMsgCounter, c.AllowMsgTTL = true, true }, CodeStreamInvalidConfig},
		"counter with markers":       {func(c *StreamConfig) { c.AllowMsgCounter, c.SubjectDeleteMarkerTTL = true, time.Second }, CodeStreamInvalidConfig},
		"counter with schedules":     {func(c *StreamConfig) { c.AllowMsgCounter, c.AllowMsgSchedules = true, true }, CodeStreamInvalidConfig},
		"counter of a work queue":    {func(c *StreamConfig) { c.AllowMsgCounter, c.Retention = true, RetentionWorkQueue }, CodeStreamInvalidConfig},
		"counter of interest":        {func(c *StreamConfig) { c.AllowMsgCounter, c.Retention = true, RetentionInterest }, CodeStreamInvalidConfig},
		"mirror with a counter":      {func(c *StreamConfig) { c.Mirror, c.Subjects, c.AllowMsgCounter = &StreamSource{Name: "T"}, nil, true }, CodeMirrorWithCounters},
		"async memory":               {func(c *StreamConfig) { c.PersistMode, c.Storage = PersistAsync, StorageMemory }, CodeStreamInvalidConfig},
		"counter with discard new":   {func(c *StreamConfig) { c.AllowMsgCounter, c.Discard = true, DiscardNew }, CodeStreamInvalidConfig},
		"schedules with discard new": {func(c *StreamConfig) { c.AllowMsgSchedules, c.Discard = true, DiscardNew }, CodeStreamInvalidConfig},
	} {
		err := stream(c.change).Check(StreamOptions{})
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
	}
}

// kvBucket is what clients create for a key-value bucket.
func kvBucket() StreamConfig {
	return StreamConfig{Name: "KV_b", Subjects: []string{"$KV.b.>"}, MaxMsgsPerSubject: 1, Discard: DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1}
}

func TestSchedulesAndMarkersTurnOnWhatTheyNeed(t *testing.T) {
	for name, change := range map[string]func(*StreamConfig){
		"schedules": func(c *StreamConfig) { c.AllowMsgSchedules = true },
		"markers":   func(c *StreamConfig) { c.SubjectDeleteMarkerTTL = time.Second },
	} {
		c := stored(t, func(c *StreamConfig) { c.DenyPurge = true; change(c) })
		if !c.AllowRollup || c.DenyPurge || c.AllowMsgTTL != (name == "markers") {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestStreamCreateRequest(t *testing.T) {
	for body, code := range map[string]int{
		`{"name":"S"}`:                      0,
		`{"name":"S","pedantic":true}`:      0,
		`{"name":"T"}`:                      CodeStreamMismatch,
		`{}`:                                CodeStreamMismatch,
		``:                                  CodeStreamMismatch,
		`{"name":"S","sealed":true}`:        CodeStreamInvalidConfig,
		`{"name":"S","mirror_direct":true}`: CodeStreamInvalidConfig,
		`{"name":"S","storage":"tape"}`:     CodeInvalidJSON,
		`{"name":"S","template_owner":"x"}`: CodeInvalidJSON,
	} {
		_, err := Decoder{}.DecodeStreamCreate("S", []byte(body))
		if code == 0 && err != nil || code != 0 && !err.Has(code) {
			t.Errorf("%s: %v, want %d", body, err, code)
		}
	}
	if _, err := (Decoder{}).DecodeStreamCreate("a/b", []byte(`{"name":"a/b"}`)); !err.Has(CodeStreamNameSeparators) {
		t.Error(err)
	}
}

func TestCreateIsRepeatableWithTheSameConfiguration(t *testing.T) {
	a := stored(t, nil)
	b := stored(t, func(c *StreamConfig) {
		c.MaxMsgs, c.Replicas, c.DuplicateWindow = -1, 1, 2*time.Minute
		c.Metadata = map[string]string{"_nats.ver": "9"}
		c.Placement = &Placement{}
	})
	if !a.Equal(b) || !b.Equal(a.Clone()) {
		t.Error("equal configurations differ")
	}
	for name, change := range map[string]func(*StreamConfig){
		"limit":    func(c *StreamConfig) { c.MaxMsgs = 5 },
		"subjects": func(c *StreamConfig) { c.Subjects = []string{"s.*"} },
		"metadata": func(c *StreamConfig) { c.Metadata = map[string]string{"a": "b"} },
	} {
		if a.Equal(stored(t, change)) {
			t.Errorf("a different %s is equal", name)
		}
	}
}

func TestStreamUpdateRules(t *testing.T) {
	sealed := func(c *StreamConfig) { c.Sealed = true }
	for name, c := range map[string]struct {
		from, to func(*StreamConfig)
		code     int
	}{
		"limits":       {nil, func(c *StreamConfig) { c.MaxMsgs, c.MaxAge, c.Discard = 5, time.Hour, DiscardNew }, 0},
		"subjects":     {nil, func(c *StreamConfig) { c.Subjects = []string{"x"} }, 0},
		"deny":         {nil, func(c *StreamConfig) { c.DenyDelete, c.DenyPurge = true, true }, 0},
		"seal":         {nil, sealed, 0},
		"unseal":       {sealed, nil, CodeStreamInvalidConfig},
		"sealed, text": {sealed, func(c *StreamConfig) { c.Sealed, c.Description, c.Subjects = true, "x", []string{"x"} }, 0},
		"sealed, age":  {sealed, func(c *StreamConfig) { c.Sealed, c.MaxAge = true, time.Hour }, 0}, // it has none
		"sealed, more": {func(c *StreamConfig) { c.Sealed, c.MaxMsgs = true, 5 }, func(c *StreamConfig) { c.Sealed, c.MaxMsgs = true, 6 }, 0},
		"sealed, less": {func(c *StreamConfig) { c.Sealed, c.MaxMsgs = true, 5 }, func(c *StreamConfig) { c.Sealed, c.MaxMsgs = true, 4 }, CodeStreamInvalidConfig},
		"sealed, size": {sealed, func(c *StreamConfig) { c.Sealed, c.MaxBytes = true, 400 }, CodeStreamInvalidConfig},
		"sealed, each": {sealed, func(c *StreamConfig) { c.Sealed, c.MaxMsgsPerSubject = true, 1 }, CodeStreamInvalidConfig},
		"name":         {nil, func(c *StreamConfig) { c.Name = "T" }, CodeStreamInvalidConfig},
		"storage":      {nil, func(c *StreamConfig) { c.Storage = StorageMemory }, CodeStreamInvalidConfig},
		"allow delete": {func(c *StreamConfig) { c.DenyDelete = true }, nil, CodeStreamInvalidConfig},
		"allow purge":  {func(c *StreamConfig) { c.DenyPurge = true }, nil, CodeStreamInvalidConfig},
	} {
		err := stored(t, c.from).CheckUpdate(stored(t, c.to))
		if c.code == 0 && err != nil || c.code != 0 && !err.Has(c.code) {
			t.Errorf("%s: %v, want %d", name, err, c.code)
		}
	}
	queue := stream(func(c *StreamConfig) { c.Retention = RetentionWorkQueue })
	if err := stored(t, nil).CheckUpdate(queue); !err.Has(CodeStreamInvalidConfig) {
		t.Error(err)
	}
	mirror := stream(func(c *StreamConfig) { c.Mirror = &StreamSource{Name: "T"} })
	if err := stored(t, nil).CheckUpdate(mirror); !err.Has(CodeStreamMirrorNotUpdatable) {
		t.Error(err)
	}
}

func TestUpdateKeepsTheFirstSequence(t *testing.T) {
	next := stored(t, func(c *StreamConfig) { c.FirstSeq = 9 })
	if err := stored(t, func(c *StreamConfig) { c.FirstSeq = 5 }).CheckUpdate(next); err != nil || next.FirstSeq != 5 {
		t.Fatalf("%d, %v", next.FirstSeq, err)
	}
}

func TestAStreamIsNotCreatedWithWhatMirrorsHave(t *testing.T) {
	body := []byte(`{"name":"S","mirror_direct":true}`)
	if _, err := (Decoder{}).DecodeStreamCreate("S", body); !err.Has(CodeStreamInvalidConfig) {
		t.Errorf("created: %v", err)
	}
	if _, err := (Decoder{}).DecodeStreamUpdate(body); err != nil {
		t.Errorf("who makes a mirror an ordinary stream sends what it was: %v", err)
	}
}

func TestSealingClosesTheStream(t *testing.T) {
	c := stored(t, func(c *StreamConfig) { c.Sealed, c.MaxAge, c.AllowRollup = true, time.Hour, true })
	if c.MaxAge != 0 || c.Discard != DiscardNew || !c.DenyDelete || !c.DenyPurge || c.AllowRollup {
		t.Fatalf("%+v", c)
	}
}

func TestStreamsOverlapWithOthersSubjects(t *testing.T) {
	c := stored(t, nil)
	if !c.Overlaps([]string{"x", "*.a"}) || c.Overlaps([]string{"s", "x.>"}) {
		t.Error("Overlaps is wrong")
	}
	for filter, want := range map[string]bool{"": true, "s.a": true, ">": true, "*.b": true, "x": false, "s": false} {
		if r := (StreamListRequest{Subject: filter}); r.Wants(c.Subjects) != want {
			t.Errorf("filter %q: not %v", filter, want)
		}
	}
}

func TestVersionIsShownButNotStored(t *testing.T) {
	c := stored(t, func(c *StreamConfig) { c.Metadata = map[string]string{"a": "b", "_nats.ver": "x"} })
	if len(c.Metadata) != 2 || c.Metadata["a"] != "b" || c.Metadata["_nats.req.level"] != "0" {
		t.Fatalf("%v", c.Metadata)
	}
	shown := WithVersion(c.Metadata, "2.12.0")
	if shown["_nats.ver"] != "2.12.0" || shown["_nats.level"] != "4" || len(shown) != 4 || len(c.Metadata) != 2 {
		t.Fatalf("%v of %v", shown, c.Metadata)
	}
}

func TestRequiredLevelOfStreams(t *testing.T) {
	for want, c := range map[int]StreamConfig{0: {}, 1: {AllowMsgTTL: true}, 2: {AllowAtomicPublish: true}, 4: {AllowBatchPublish: true}} {
		if got := c.requiredLevel(); got != want {
			t.Errorf("%+v needs %d", c, got)
		}
	}
}
