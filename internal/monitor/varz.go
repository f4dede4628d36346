package monitor

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Varz is /varz's answer. Fields and their order are those of the reference.
type Varz struct {
	ServerID         string            `json:"server_id"`
	ServerName       string            `json:"server_name"`
	Version          string            `json:"version"`
	Proto            int               `json:"proto"`
	Go               string            `json:"go"`
	Host             string            `json:"host"`
	Port             int               `json:"port"`
	AuthRequired     bool              `json:"auth_required,omitempty"`
	ConnectURLs      []string          `json:"connect_urls,omitempty"`
	MaxConnections   int               `json:"max_connections"`
	MaxSubscriptions int               `json:"max_subscriptions,omitempty"`
	PingInterval     time.Duration     `json:"ping_interval"`
	PingMax          int               `json:"ping_max"`
	HTTPHost         string            `json:"http_host"`
	HTTPPort         int               `json:"http_port"`
	HTTPBasePath     string            `json:"http_base_path"`
	HTTPSPort        int               `json:"https_port"`
	AuthTimeout      float64           `json:"auth_timeout"`
	MaxControlLine   int               `json:"max_control_line"`
	MaxPayload       int               `json:"max_payload"`
	MaxPending       int64             `json:"max_pending"`
	Cluster          struct{}          `json:"cluster"`
	Gateway          struct{}          `json:"gateway"`
	Leaf             struct{}          `json:"leaf"`
	MQTT             struct{}          `json:"mqtt"`
	Websocket        struct{}          `json:"websocket"`
	JetStream        VarzJetStream     `json:"jetstream"`
	TLSTimeout       float64           `json:"tls_timeout"`
	WriteDeadline    time.Duration     `json:"write_deadline"`
	Start            time.Time         `json:"start"`
	Now              time.Time         `json:"now"`
	Uptime           string            `json:"uptime"`
	Mem              int64             `json:"mem"`
	Cores            int               `json:"cores"`
	MaxProcs         int               `json:"gomaxprocs"`
	MemLimit         int64             `json:"gomemlimit,omitempty"`
	CPU              float64           `json:"cpu"`
	Connections      int               `json:"connections"`
	TotalConnections uint64            `json:"total_connections"`
	Routes           int               `json:"routes"`
	Remotes          int               `json:"remotes"`
	Leafs            int               `json:"leafnodes"`
	InMsgs           uint64            `json:"in_msgs"`
	InBytes          uint64            `json:"in_bytes"`
	InClientMsgs     uint64            `json:"in_client_msgs"`
	InClientBytes    uint64            `json:"in_client_bytes"`
	OutMsgs          uint64            `json:"out_msgs"`
	OutBytes         uint64            `json:"out_bytes"`
	OutClientMsgs    uint64            `json:"out_client_msgs"`
	OutClientBytes   uint64            `json:"out_client_bytes"`
	SlowConsumers    uint64            `json:"slow_consumers"`
	StaleConnections uint64            `json:"stale_connections"`
	StalledClients   uint64            `json:"stalled_clients"`
	Subscriptions    int               `json:"subscriptions"`
	HTTPReqStats     map[string]uint64 `json:"http_req_stats"`
	ConfigLoadTime   time.Time         `json:"config_load_time"`
	ConfigDigest     string            `json:"config_digest"`
	SystemAccount    string            `json:"system_account,omitempty"`
	SlowStats        ByKind            `json:"slow_consumer_stats"`
	StaleStats       ByKind            `json:"stale_connection_stats"`
	DiskWaits        DiskWaits         `json:"disk_io_wait_stats"`
	WeirVersion      string            `json:"weir_version"` // beyond the reference
}

// ByKind counts by kind of connection.
type ByKind struct {
	Clients  uint64 `json:"clients"`
	Routes   uint64 `json:"routes"`
	Gateways uint64 `json:"gateways"`
	Leafs    uint64 `json:"leafs"`
}

// DiskWaits is there for those who read it, and 0: nobody queues for a disk here.
type DiskWaits struct {
	Waiters int           `json:"waiters"`
	Waits   uint64        `json:"waits"`
	Time    time.Duration `json:"wait_time"`
	Max     time.Duration `json:"max_wait_time"`
}

// VarzJetStream is what /varz says of streams; empty where there are none.
type VarzJetStream struct {
	Config *JetStreamConfig `json:"config,omitempty"`
	Stats  *JetStreamStats  `json:"stats,omitempty"`
}

// JetStreamConfig is how streams are kept.
type JetStreamConfig struct {
	MaxMemory    int64         `json:"max_memory"`
	MaxStorage   int64         `json:"max_storage"`
	StoreDir     string        `json:"store_dir"`
	SyncInterval time.Duration `json:"sync_interval"`
	SyncAlways   bool          `json:"sync_always,omitempty"`
	Domain       string        `json:"domain,omitempty"`
}

// JetStreamStats is what streams use.
type JetStreamStats struct {
	Memory          uint64 `json:"memory"`
	Storage         uint64 `json:"storage"`
	ReservedMemory  uint64 `json:"reserved_memory"`
	ReservedStorage uint64 `json:"reserved_storage"`
	Accounts        int    `json:"accounts"`
	HAAssets        int    `json:"ha_assets"`
	API             struct {
		Level  int    `json:"level"`
		Total  uint64 `json:"total"`
		Errors uint64 `json:"errors"`
	} `json:"api"`
}

func varz(s *Server, src Source, _ *http.Request) (any, error) {
	v := src.Varz()
	v.HTTPReqStats = s.requestCounts()
	v.Uptime = uptime(v.Now.Sub(v.Start))
	return v, nil
}

// uptime writes a duration as 1d2h3m4s.
func uptime(d time.Duration) string {
	secs := max(0, int64(d/time.Second))
	var b strings.Builder
	for _, u := range []struct {
		unit string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}} {
		if secs >= u.size || b.Len() > 0 {
			fmt.Fprintf(&b, "%d%s", secs/u.size, u.unit)
			secs %= u.size
		}
	}
	fmt.Fprintf(&b, "%ds", secs)
	return b.String()
}
