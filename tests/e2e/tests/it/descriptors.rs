//! The services' methods as the compiled protos describe them, and calls made from nothing but that.

use harombe_proto::options::v1::{Auth, PrincipalKind};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_types::{Role, ServiceName};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::client::Grpc;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// A method and who may call it.
pub(crate) struct Method {
    /// Where it is served.
    pub(crate) server: ServiceName,
    pub(crate) path: String,
    pub(crate) callers: Vec<ServiceName>,
    pub(crate) principal: PrincipalKind,
    pub(crate) roles: Vec<Role>,
    pub(crate) input: MessageDescriptor,
}

/// Every method that a service of ours serves; the gateway's copies of others' methods are listed under those.
pub(crate) fn methods() -> Vec<Method> {
    let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap();
    let services: Vec<_> = pool.services().collect();
    let methods = services.iter().flat_map(|service| {
        let server = match service.parent_file().package_name() {
            "harombe.agent.v1" => ServiceName::Gateway,
            "harombe.runtime.v1" => ServiceName::Runtime,
            "harombe.memory.v1" => ServiceName::Memory,
            "harombe.sandbox.v1" => ServiceName::SandboxBroker,
            "harombe.egress.v1" => ServiceName::EgressProxy,
            "harombe.hitl.v1" => ServiceName::Hitl,
            "harombe.audit.v1" => ServiceName::Audit,
            other => panic!("nobody is known to serve {other}"),
        };
        let methods = service
            .methods()
            .map(move |method| describe(server, &pool_auth(&method), &method));
        methods.collect::<Vec<_>>()
    });
    methods.collect()
}

fn pool_auth(method: &MethodDescriptor) -> Auth {
    let extension = method
        .parent_pool()
        .get_extension_by_name("harombe.options.v1.auth")
        .unwrap();
    let options = method.options();
    let value = options.get_extension(&extension);
    value.as_message().unwrap().transcode_to().unwrap()
}

fn describe(server: ServiceName, auth: &Auth, method: &MethodDescriptor) -> Method {
    Method {
        server,
        path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
        callers: auth.callers.iter().map(|name| name.parse().unwrap()).collect(),
        principal: auth.principal(),
        roles: auth.roles.iter().map(|name| name.parse().unwrap()).collect(),
        input: method.input(),
    }
}

impl Method {
    /// Calls it with an empty message.
    pub(crate) async fn call(&self, channel: GrpcChannel, token: Option<&str>) -> Result<(), Status> {
        self.call_with(channel, DynamicMessage::new(self.input.clone()), token)
            .await
    }

    /// Calls it and waits for the first message of the answer.
    pub(crate) async fn call_with(
        &self,
        channel: GrpcChannel,
        message: DynamicMessage,
        token: Option<&str>,
    ) -> Result<(), Status> {
        let request = Request::new(tokio_stream::iter([message]));
        let request = match token {
            Some(token) => request.with_token(token),
            None => request,
        };
        let mut grpc = Grpc::new(channel);
        grpc.ready().await?;
        // What any of our messages decodes to is nobody's business here.
        let codec: ProstCodec<DynamicMessage, ()> = ProstCodec::default();
        let path = self.path.parse().unwrap();
        let mut answer = grpc.streaming(request, path, codec).await?.into_inner();
        answer.message().await.map(drop)
    }
}
