//! Between the port's words and the engine's.

use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    Condition, CreateIndex, FieldCondition, FieldIndexOperations, Filter as EdgeFilter, IntegerIndexParams,
    JsonPath, KeywordIndexParams, Match, Payload, PayloadFieldSchema, PayloadSchemaParams, PointId,
    PointStructPersisted, Range, RangeInterface, Record, UpdateOperation, UuidIndexParams,
    VectorStructInternal, VectorStructPersisted,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::port::owner;
use crate::{Filter, Point};

/// The tag of a tenant's subject.
const OWNER: &str = "owner";

pub(super) fn path(key: &str) -> JsonPath {
    JsonPath {
        first_key: key.to_owned(),
        rest: Vec::new(),
    }
}

/// The indexes of a collection, by what they are over. Graphs are built for owners only: every search is within one.
pub(super) fn indexes() -> Vec<(&'static str, UpdateOperation)> {
    let keyword = |tenant, graph| {
        PayloadSchemaParams::Keyword(KeywordIndexParams {
            is_tenant: Some(tenant),
            enable_hnsw: Some(graph),
            ..KeywordIndexParams::default()
        })
    };
    let integer = |lookup, range| {
        PayloadSchemaParams::Integer(IntegerIndexParams {
            lookup: Some(lookup),
            range: Some(range),
            enable_hnsw: Some(false),
            ..IntegerIndexParams::default()
        })
    };
    let uuid = PayloadSchemaParams::Uuid(UuidIndexParams {
        enable_hnsw: Some(false),
        ..UuidIndexParams::default()
    });
    [
        ("tenant", keyword(true, false)),
        (OWNER, keyword(false, true)),
        ("agent", keyword(false, false)),
        ("session", uuid),
        ("kind", integer(true, false)),
        ("label", integer(true, false)),
        ("time_ms", integer(false, true)),
    ]
    .into_iter()
    .map(|(field, schema)| {
        let create = CreateIndex {
            field_name: path(field),
            field_schema: Some(PayloadFieldSchema::FieldParams(schema)),
        };
        let operation = FieldIndexOperations::CreateIndex(create);
        (field, UpdateOperation::FieldIndexOperation(operation))
    })
    .collect()
}

pub(super) fn point(point: Point) -> PointStructPersisted {
    let tags = point.tags;
    let mut payload = Map::new();
    payload.insert(OWNER.to_owned(), owner(&tags.tenant, &tags.subject).into());
    payload.insert("tenant".to_owned(), tags.tenant.into());
    payload.insert("agent".to_owned(), tags.agent.into());
    if let Some(session) = tags.session {
        payload.insert("session".to_owned(), session.to_string().into());
    }
    payload.insert("kind".to_owned(), tags.kind.into());
    payload.insert("label".to_owned(), tags.label.into());
    payload.insert("time_ms".to_owned(), tags.time_ms.into());
    payload.insert("seq".to_owned(), tags.seq.into());
    PointStructPersisted {
        id: PointId::Uuid(point.id),
        vector: VectorStructPersisted::Single(point.vector),
        payload: Some(Payload(payload)),
    }
}

pub(super) fn filter(filter: &Filter) -> EdgeFilter {
    let mut must = vec![
        matches("tenant", filter.tenant.clone()),
        matches(OWNER, owner(&filter.tenant, &filter.subject)),
    ];
    must.extend(filter.agent.clone().map(|agent| matches("agent", agent)));
    must.extend(any("session", filter.sessions.iter().map(Uuid::to_string)));
    must.extend(any("kind", filter.kinds.iter().map(|kind| i64::from(*kind))));
    must.extend(any("label", filter.labels.iter().map(|label| i64::from(*label))));
    if filter.from_ms.is_some() || filter.until_ms.is_some() {
        must.push(within("time_ms", filter.from_ms, filter.until_ms));
    }
    EdgeFilter {
        must: Some(must),
        ..EdgeFilter::default()
    }
}

fn matches(key: &str, value: impl Into<Match>) -> Condition {
    Condition::Field(FieldCondition::new_match(path(key), value.into()))
}

fn any<V: Into<Match>>(key: &str, values: impl Iterator<Item = V>) -> Option<Condition> {
    let mut choices: Vec<Condition> = values.map(|value| matches(key, value)).collect();
    if choices.len() < 2 {
        return choices.pop();
    }
    Some(Condition::Filter(EdgeFilter {
        should: Some(choices),
        ..EdgeFilter::default()
    }))
}

fn within(key: &str, from: Option<i64>, until: Option<i64>) -> Condition {
    // The engine compares with floats, which hold every millisecond of the next 285,000 years.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let float = |time: i64| OrderedFloat(time as f64);
    let range = Range {
        gte: from.map(float),
        lt: until.map(float),
        gt: None,
        lte: None,
    };
    let mut condition = FieldCondition::new_range(path(key), range);
    condition.range = Some(RangeInterface::Float(range));
    Condition::Field(condition)
}

pub(super) fn id(id: PointId) -> Option<Uuid> {
    match id {
        PointId::Uuid(id) => Some(id),
        PointId::NumId(_) => None,
    }
}

pub(super) fn tenant(record: &Record) -> Option<&str> {
    record.payload.as_ref()?.0.get("tenant")?.as_str()
}

pub(super) fn seq(record: &Record) -> Option<u64> {
    record.payload.as_ref()?.0.get("seq").and_then(Value::as_u64)
}

pub(super) fn vector(record: Record) -> Option<Vec<f32>> {
    match record.vector? {
        VectorStructInternal::Single(vector) => Some(vector),
        VectorStructInternal::MultiDense(_) | VectorStructInternal::Named(_) => None,
    }
}
