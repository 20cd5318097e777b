// Kubernetes as one program: each component is an applet, chosen by the name the program is called by.
//
// One program shares its packages, so it is linked once, is a fifth of the size of the separate ones, and goes
// into the node image as one file with links to it. Every applet starts as its own main package does.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	_ "time/tzdata" // time zones of CronJobs

	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache" // the plugins that kubeadm's Corefile names, and log
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/loop"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	genericapiserver "k8s.io/apiserver/pkg/server"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	kubeapiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kubecontrollermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubescheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubeadm "k8s.io/kubernetes/cmd/kubeadm/app"
	kubeadmerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	metricsserver "sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

// applets maps the name of each to what it runs; a value returns or exits as that component's main does.
var applets = map[string]func(){
	"coredns":                 coremain.Run,
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          component(kubeapiserver.NewAPIServerCommand),
	"kube-controller-manager": component(kubecontrollermanager.NewControllerManagerCommand),
	"kube-proxy":              component(kubeproxy.NewProxyCommand),
	"kube-scheduler":          func() { os.Exit(cli.Run(kubescheduler.NewSchedulerCommand())) },
	"kubeadm":                 func() { kubeadmerrors.HandleError(kubeadm.Run()) },
	"kubectl":                 runKubectl,
	"kubelet":                 func() { os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background()))) },
	"metrics-server":          runMetricsServer,
}

func component(command func() *cobra.Command) func() {
	return func() { os.Exit(cli.Run(command())) }
}

func runKubectl() {
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) // as kubectl's main: before the command is built
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
}

func runMetricsServer() {
	logs.InitLogs()
	defer logs.FlushLogs()
	exitOn(metricsserver.NewMetricsServerCommand(genericapiserver.SetupSignalHandler()).Execute())
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// forgetFlagsOfCoreDNS takes back what CoreDNS's packages register for every program that they are linked into:
// other applets have a --version of their own.
func forgetFlagsOfCoreDNS() {
	ofCoreDNS := []string{"conf", "dns.port", "p", "pidfile", "plugins", "quiet", "version"}
	all := flag.CommandLine
	flag.CommandLine = flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	all.VisitAll(func(one *flag.Flag) {
		if !slices.Contains(ofCoreDNS, one.Name) {
			flag.Var(one.Value, one.Name, one.Usage)
		}
	})
}

// main runs the applet that argv[0] names, or the first argument (so that the program works without links too).
func main() {
	name := filepath.Base(os.Args[0])
	if _, found := applets[name]; !found && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		name = os.Args[0]
	}
	if name != "coredns" {
		forgetFlagsOfCoreDNS()
	}
	if run, found := applets[name]; found {
		run()
		return
	}
	fmt.Fprintln(os.Stderr, "usage: kubernetes APPLET [ARGUMENT...], or a link named like an applet. Applets:")
	for _, name := range slices.Sorted(maps.Keys(applets)) {
		fmt.Fprintln(os.Stderr, "  "+name)
	}
	os.Exit(2)
}
