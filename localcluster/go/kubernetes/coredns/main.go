// CoreDNS with the plugins that the local cluster's Corefile names, no more:
// cluster Services, and everything else forwarded to the outside.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	// The order of execution in a server block.
	dnsserver.Directives = []string{"health", "ready", "errors", "cache", "kubernetes", "loop", "forward"}
	coremain.Run()
}
