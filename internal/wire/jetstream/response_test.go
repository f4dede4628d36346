package jetstream

import (
	"encoding/json"
	"testing"
	"time"
)

const v1 = `{"type":"io.nats.jetstream.api.v1.`

func TestResponsesAsSent(t *testing.T) {
	at := Time(1_700_000_000_123_456_789)
	const config = `{"name":"S","retention":"limits","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,` +
		`"max_msgs_per_subject":-1,"discard":"new","storage":"memory","num_replicas":1,"compression":"none",` +
		`"allow_direct":true,"mirror_direct":false,"discard_new_per_subject":true,"sealed":false,"deny_delete":true,` +
		`"deny_purge":false,"allow_rollup_hdrs":false,"consumer_limits":{"inactive_threshold":1000000000,"max_ack_pending":5},` +
		`"allow_msg_ttl":false}`
	const info = `"config":` + config + `,"created":"2023-11-14T22:13:20.123456789Z","state":{"messages":0,"bytes":0,` +
		`"first_seq":0,"first_ts":"0001-01-01T00:00:00Z","last_seq":0,"last_ts":"0001-01-01T00:00:00Z","consumer_count":0},` +
		`"ts":"2023-11-14T22:13:20.123456789Z"`
	si := &StreamInfo{
		Config: StreamConfig{Name: "S", MaxConsumers: -1, MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, Discard: DiscardNew,
			Storage: StorageMemory, Replicas: 1, AllowDirect: true, DenyDelete: true, DiscardNewPerSubject: true,
			ConsumerLimits: ConsumerLimits{InactiveThreshold: time.Second, MaxAckPending: 5}},
		Created: at, TimeStamp: at,
	}
	const cinfo = `"stream_name":"S","name":"C","created":"2023-11-14T22:13:20.123456789Z",` +
		`"config":{"durable_name":"C","deliver_policy":"last","ack_policy":"all","replay_policy":"instant","num_replicas":0},` +
		`"delivered":{"consumer_seq":3,"stream_seq":9,"last_active":"2023-11-14T22:13:20.123456789Z"},` +
		`"ack_floor":{"consumer_seq":1,"stream_seq":7},"num_ack_pending":2,"num_redelivered":0,"num_waiting":1,"num_pending":4,` +
		`"ts":"2023-11-14T22:13:20.123456789Z"`
	ci := &ConsumerInfo{Stream: "S", Name: "C", Created: at,
		Config:    &ConsumerConfig{Durable: "C", DeliverPolicy: DeliverLast, AckPolicy: AckAll},
		Delivered: SequenceInfo{3, 9, &at}, AckFloor: SequenceInfo{1, 7, nil},
		NumAckPending: 2, NumWaiting: 1, NumPending: 4, TimeStamp: at}
	full := StreamState{Msgs: 1, Bytes: 2, FirstSeq: 3, FirstTime: at, LastSeq: 5, LastTime: at, NumSubjects: 1,
		Subjects: map[string]uint64{"a": 1}, NumDeleted: 1, Deleted: []uint64{4}, Lost: &LostData{Msgs: []uint64{4}, Bytes: 9}, Consumers: 2}
	const limits = `"limits":{"max_memory":-1,"max_storage":-1,"max_streams":-1,"max_consumers":-1,"max_ack_pending":-1,` +
		`"memory_max_stream_bytes":-1,"storage_max_stream_bytes":-1,"max_bytes_required":false}`
	usage := Usage{Memory: 1, Storage: 2, Streams: 3, Consumers: 4, Limits: AccountLimits{-1, -1, -1, -1, -1, -1, -1, false}}

	for _, c := range []struct {
		got  any
		want string
	}{
		{KindStreamInfo.Head(Err(CodeStreamNotFound)),
			v1 + `stream_info_response","error":{"code":404,"err_code":10059,"description":"stream not found"}}`},
		{AccountInfoResponse{KindAccountInfo.Head(nil), &AccountInfo{Usage: usage, Domain: "hub", API: APIStats{2, 5, 1, 0}}},
			v1 + `account_info_response","memory":1,"storage":2,"reserved_memory":0,"reserved_storage":0,"streams":3,"consumers":4,` +
				limits + `,"domain":"hub","api":{"level":2,"total":5,"errors":1}}`},
		{StreamCreateResponse{KindStreamCreate.Head(nil), si, true}, v1 + `stream_create_response",` + info + `,"did_create":true}`},
		{StreamCreateResponse{KindStreamUpdate.Head(nil), si, false}, v1 + `stream_update_response",` + info + `}`},
		{StreamCreateResponse{Response: KindStreamCreate.Head(Err(CodeSubjectOverlap))},
			v1 + `stream_create_response","error":{"code":400,"err_code":10065,"description":"subjects overlap with an existing stream"}}`},
		{StreamInfoResponse{KindStreamInfo.Head(nil), Paged{}, si}, v1 + `stream_info_response","total":0,"offset":0,"limit":0,` + info + `}`},
		{StreamNamesResponse{KindStreamNames.Head(nil), Paged{1, 0, NamesLimit}, []string{"S"}},
			v1 + `stream_names_response","total":1,"offset":0,"limit":1024,"streams":["S"]}`},
		{StreamListResponse{KindStreamList.Head(nil), Paged{0, 0, ListLimit}, []*StreamInfo{}, nil, nil},
			v1 + `stream_list_response","total":0,"offset":0,"limit":256,"streams":[]}`},
		{SuccessResponse{KindStreamDelete.Head(nil), true}, v1 + `stream_delete_response","success":true}`},
		{SuccessResponse{KindMsgDelete.Head(nil), true}, v1 + `stream_msg_delete_response","success":true}`},
		{SuccessResponse{KindConsumerDelete.Head(nil), true}, v1 + `consumer_delete_response","success":true}`},
		{StreamPurgeResponse{KindStreamPurge.Head(nil), true, 0}, v1 + `stream_purge_response","success":true,"purged":0}`},
		{MsgGetResponse{KindMsgGet.Head(nil), &StoredMsg{"a.b", 7, []byte("NATS/1.0\r\n\r\n"), []byte("hi"), at}},
			v1 + `stream_msg_get_response","message":{"subject":"a.b","seq":7,"hdrs":"TkFUUy8xLjANCg0K","data":"aGk=","time":"2023-11-14T22:13:20.123456789Z"}}`},
		{ConsumerCreateResponse{KindConsumerCreate.Head(nil), ci}, v1 + `consumer_create_response",` + cinfo + `}`},
		{ConsumerInfoResponse{KindConsumerInfo.Head(nil), ci}, v1 + `consumer_info_response",` + cinfo + `}`},
		{ConsumerNamesResponse{KindConsumerNames.Head(nil), Paged{0, 0, NamesLimit}, []string{}},
			v1 + `consumer_names_response","total":0,"offset":0,"limit":1024,"consumers":[]}`},
		{ConsumerListResponse{KindConsumerList.Head(nil), Paged{1, 0, ListLimit}, []*ConsumerInfo{ci}, nil, nil},
			v1 + `consumer_list_response","total":1,"offset":0,"limit":256,"consumers":[{` + cinfo + `}]}`},
		{ConsumerPauseResponse{KindConsumerPause.Head(nil), true, at, time.Second},
			v1 + `consumer_pause_response","paused":true,"pause_until":"2023-11-14T22:13:20.123456789Z","pause_remaining":1000000000}`},
		{ConsumerResetResponse{KindConsumerReset.Head(nil), ci, 8}, v1 + `consumer_reset_response",` + cinfo + `,"reset_seq":8}`},
		{full, `{"messages":1,"bytes":2,"first_seq":3,"first_ts":"2023-11-14T22:13:20.123456789Z","last_seq":5,` +
			`"last_ts":"2023-11-14T22:13:20.123456789Z","num_subjects":1,"subjects":{"a":1},"num_deleted":1,"deleted":[4],` +
			`"lost":{"msgs":[4],"bytes":9},"consumer_count":2}`},
	} {
		if got := string(Encode(c.got)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	if got := string(KindUnknown.ErrorBody(Err(CodeBadRequest))); got != v1+`system_response","error":{"code":400,"err_code":10003,"description":"bad request"}}` {
		t.Error(got)
	}
}

func TestPagesStayInsideTheList(t *testing.T) {
	for _, c := range []struct{ total, offset, limit, from, to int }{
		{0, 0, 10, 0, 0}, {25, 0, 10, 0, 10}, {25, 20, 10, 20, 25}, {25, 99, 10, 25, 25}, {25, -1, 10, 0, 10},
	} {
		from, to, p := Page(c.total, c.offset, c.limit)
		if from != c.from || to != c.to || p != (Paged{c.total, c.from, c.limit}) {
			t.Errorf("%+v: %d %d %+v", c, from, to, p)
		}
	}
}

func TestEnumerationsAreStringsBothWays(t *testing.T) {
	type enums struct {
		R  Retention
		D  Discard
		S  Storage
		C  Compression
		P  PersistMode
		DP DeliverPolicy
		A  AckPolicy
		RP ReplayPolicy
		PP PriorityPolicy
	}
	in := enums{RetentionWorkQueue, DiscardNew, StorageMemory, CompressionS2, PersistAsync, DeliverByStartTime, AckFlowControl, ReplayOriginal, PriorityPrioritized}
	b := Encode(in)
	const want = `{"R":"workqueue","D":"new","S":"memory","C":"s2","P":"async","DP":"by_start_time","A":"flow_control","RP":"original","PP":"prioritized"}`
	var out enums
	if err := json.Unmarshal(b, &out); err != nil || string(b) != want || out != in {
		t.Fatalf("%s, %+v, %v", b, out, err)
	}
	for _, bad := range []string{`{"R":"x"}`, `{"R":""}`, `{"R":1}`, `{"DP":"ALL"}`, `{"A":"Explicit"}`} {
		if json.Unmarshal([]byte(bad), &out) == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
	if _, err := json.Marshal(Retention(9)); err == nil {
		t.Error("a value without a name is encoded")
	}
	if Retention(9).String() != "unknown (9)" || in.A.String() != "flow_control" || in.R.String() != "workqueue" {
		t.Error("String is wrong")
	}
}

func TestPubAcksAsSent(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{string((&PubAck{Stream: "S", Seq: 5}).Append(nil)), `{"stream":"S","seq":5}`},
		{string((&PubAck{Stream: "S", Seq: 5, Domain: "hub", Duplicate: true}).Append(nil)), `{"stream":"S","seq":5,"domain":"hub","duplicate": true}`},
		{string((&PubAck{Stream: "S", Seq: 5, Value: "-7"}).Append(nil)), `{"stream":"S","seq":5,"val":"-7"}`},
		{string((&PubAck{Stream: "S", Seq: 5, Batch: "b\"", Count: 3}).Append(nil)), `{"stream":"S","seq":5,"batch":"b\"","count":3}`},
		{string(AppendFlowAck(nil, 7, 20)), `{"type":"ack","seq":7,"msgs":20}`},
		{string(AppendFlowGap(nil, 3, 5)), `{"type":"gap","last_seq":3,"seq":5}`},
		{string(AppendFlowError(nil, 4, Err(CodeStreamSealed))), `{"type":"err","seq":4,"error":{"code":400,"err_code":10109,"description":"invalid operation on sealed stream"}}`},
		{string(AppendPubError(nil, "S", ErrWith(CodeWrongLastSequence, "seq", "4"))),
			`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"},"stream":"S","seq":0}`},
		{string(AppendPubError(nil, "S", &Error{Code: 500})), `{"error":{"code":500},"stream":"S","seq":0}`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestDirectHeadersAsSent(t *testing.T) {
	m := DirectInfo{Stream: "S", Subject: []byte("a.b"), Seq: 7, Time: 1_700_000_000_100_000_000}
	const own = "Nats-Stream: S\r\nNats-Subject: a.b\r\nNats-Sequence: 7\r\nNats-Time-Stamp: 2023-11-14T22:13:20.1Z\r\n"
	if got := string(AppendDirect(nil, nil, &m)); got != "NATS/1.0\r\n"+own+"\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendDirect(nil, []byte("NATS/1.0\r\nA: b\r\n\r\n"), &m)); got != "NATS/1.0\r\nA: b\r\n"+own+"\r\n" {
		t.Errorf("%q", got)
	}
	m.Batch, m.Pending, m.LastSeq = true, 3, 6
	if got := string(AppendDirect(nil, nil, &m)); got != "NATS/1.0\r\n"+own+"Nats-Num-Pending: 3\r\nNats-Last-Sequence: 6\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendEndOfBatch(nil, 3, 7, 0)); got != "NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\nNats-Last-Sequence: 7\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendEndOfBatch(nil, 3, 7, 9)); got != "NATS/1.0 204 EOB\r\nNats-Num-Pending: 3\r\nNats-Last-Sequence: 7\r\nNats-UpTo-Sequence: 9\r\n\r\n" {
		t.Errorf("%q", got)
	}
	if got := string(AppendMsgSize(nil, nil, 12)); got != "NATS/1.0\r\nNats-Msg-Size: 12\r\n\r\n" {
		t.Errorf("%q", got)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("plain")
	f.Add("q\"b\\n\n\x00<&>\u2028\xff\u00e9")
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendString(nil, s); string(got) != string(want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	})
}
