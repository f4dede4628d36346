package fb

// SubscribeRequest is what a subscriber asks for. Positions have the protocol's
// numbers, known or not.
type SubscribeRequest struct {
	Stream                 string
	Partition              int32
	Start, Stop            int32
	StartOffset, StartTime int64
	StopOffset, StopTime   int64
	Resume, Reverse        bool
	Group, Consumer        string
	GroupEpoch             uint64
	MaxMessages, MaxBytes  uint32 // of a batch; 0: as the server likes
}

// Fields of the table.
const (
	subStream      = 0
	subPartition   = 1
	subStart       = 2
	subStartOffset = 3
	subStartTime   = 4
	subStop        = 5
	subStopOffset  = 6
	subStopTime    = 7
	subResume      = 8
	subReverse     = 9
	subGroup       = 10
	subGroupEpoch  = 11
	subConsumer    = 12
	subMaxMessages = 13
	subMaxBytes    = 14
)

// DecodeSubscribe reads a request. An error wraps ErrMalformed.
func DecodeSubscribe(b []byte) (SubscribeRequest, error) {
	t, err := root(b)
	if err != nil {
		return SubscribeRequest{}, err
	}
	r := reader{table: t}
	s := SubscribeRequest{
		Stream: string(r.text(subStream)), Partition: r.int32(subPartition),
		Start: int32(r.byte(subStart)), StartOffset: r.int64(subStartOffset, 0), StartTime: r.int64(subStartTime, 0),
		Stop: int32(r.byte(subStop)), StopOffset: r.int64(subStopOffset, 0), StopTime: r.int64(subStopTime, 0),
		Resume: r.byte(subResume) != 0, Reverse: r.byte(subReverse) != 0,
		Group: string(r.text(subGroup)), GroupEpoch: uint64(r.int64(subGroupEpoch, 0)), Consumer: string(r.text(subConsumer)),
		MaxMessages: uint32(r.int32(subMaxMessages)), MaxBytes: uint32(r.int32(subMaxBytes)),
	}
	return s, r.err
}
