//! Between Qdrant's messages and its engine's words.

use std::collections::HashMap;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::query::Variant as QueryKind;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector::Vector as DenseKind;
use qdrant_client::qdrant::vector_input::Variant as InputKind;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    self as said, DenseVector, PayloadIndexParams, PointStruct, RetrievedPoint, Value, VectorOutput,
    VectorsOutput, WithPayloadSelector, vector_output, vectors_output,
};
use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    Condition, FieldCondition, Filter, HasIdCondition, IntegerIndexParams, JsonPath, KeywordIndexParams,
    Match, Payload, PayloadFieldSchema, PayloadSchemaParams, PointId, PointStructPersisted, Range, Record,
    UuidIndexParams, VectorStructInternal, VectorStructPersisted, WithPayloadInterface,
};
use serde_json::{Map, Value as Json};
use tonic::Status;
use uuid::Uuid;

fn wrong(what: &str) -> Status {
    Status::invalid_argument(format!("Wrong input: {what}"))
}

pub(super) fn path(key: &str) -> Result<JsonPath, Status> {
    key.parse().map_err(|()| wrong(key))
}

pub(super) fn id(id: Option<said::PointId>) -> Result<PointId, Status> {
    match id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => Ok(PointId::NumId(number)),
        Some(PointIdOptions::Uuid(text)) => {
            let id: Uuid = text.parse().map_err(|_| wrong("Unable to parse UUID"))?;
            Ok(PointId::Uuid(id))
        }
        None => Err(wrong("No ID options provided")),
    }
}

pub(super) fn ids(ids: Vec<said::PointId>) -> Result<Vec<PointId>, Status> {
    ids.into_iter().map(|it| id(Some(it))).collect()
}

pub(super) fn said_id(id: PointId) -> said::PointId {
    let options = match id {
        PointId::NumId(number) => PointIdOptions::Num(number),
        PointId::Uuid(id) => PointIdOptions::Uuid(id.to_string()),
    };
    said::PointId {
        point_id_options: Some(options),
    }
}

#[expect(deprecated, reason = "where clients before 1.16 put it")]
pub(super) fn point(point: PointStruct) -> Result<PointStructPersisted, Status> {
    let Some(VectorsOptions::Vector(vector)) = point.vectors.and_then(|vectors| vectors.vectors_options)
    else {
        return Err(wrong("Expected a vector"));
    };
    let numbers = match vector.vector {
        Some(DenseKind::Dense(dense)) => dense.data,
        Some(_) => return Err(wrong("Expected a dense vector")),
        None => vector.data,
    };
    let mut payload = Map::new();
    for (key, value) in point.payload {
        payload.insert(key, json(value)?);
    }
    Ok(PointStructPersisted {
        id: id(point.id)?,
        vector: VectorStructPersisted::Single(numbers),
        payload: Some(Payload(payload)),
    })
}

fn json(value: Value) -> Result<Json, Status> {
    match value.kind {
        Some(Kind::StringValue(text)) => Ok(text.into()),
        Some(Kind::IntegerValue(number)) => Ok(number.into()),
        Some(Kind::BoolValue(value)) => Ok(value.into()),
        _ => Err(wrong("a payload value that the test server does not know")),
    }
}

fn value(json: Json) -> Value {
    match json {
        Json::String(text) => text.into(),
        Json::Bool(value) => value.into(),
        Json::Number(number) => number.as_i64().unwrap_or(0).into(),
        Json::Null | Json::Array(_) | Json::Object(_) => Value { kind: None },
    }
}

pub(super) fn payload(payload: Option<Payload>) -> HashMap<String, Value> {
    let fields = payload.map(|payload| payload.0).unwrap_or_default();
    fields.into_iter().map(|(key, json)| (key, value(json))).collect()
}

pub(super) fn record(record: Record) -> RetrievedPoint {
    let vectors = record.vector.and_then(|vector| match vector {
        VectorStructInternal::Single(data) => Some(output(data)),
        VectorStructInternal::MultiDense(_) | VectorStructInternal::Named(_) => None,
    });
    RetrievedPoint {
        id: Some(said_id(record.id)),
        payload: payload(record.payload),
        vectors,
        ..RetrievedPoint::default()
    }
}

fn output(data: Vec<f32>) -> VectorsOutput {
    let vector = VectorOutput {
        vector: Some(vector_output::Vector::Dense(DenseVector { data })),
        ..VectorOutput::default()
    };
    VectorsOutput {
        vectors_options: Some(vectors_output::VectorsOptions::Vector(vector)),
    }
}

pub(super) fn selector(selector: Option<WithPayloadSelector>) -> Result<WithPayloadInterface, Status> {
    match selector.and_then(|selector| selector.selector_options) {
        None => Ok(WithPayloadInterface::Bool(false)),
        Some(SelectorOptions::Enable(all)) => Ok(WithPayloadInterface::Bool(all)),
        Some(SelectorOptions::Include(include)) => {
            let fields: Result<_, _> = include.fields.iter().map(|field| path(field)).collect();
            Ok(WithPayloadInterface::Fields(fields?))
        }
        Some(SelectorOptions::Exclude(_)) => Err(wrong("exclude")),
    }
}

pub(super) fn nearest(query: Option<said::Query>) -> Result<Vec<f32>, Status> {
    let Some(QueryKind::Nearest(input)) = query.and_then(|query| query.variant) else {
        return Err(wrong("a query that the test server does not know"));
    };
    match input.variant {
        Some(InputKind::Dense(dense)) => Ok(dense.data),
        _ => Err(wrong("Expected a dense vector")),
    }
}

pub(super) fn filter(filter: said::Filter) -> Result<Filter, Status> {
    if filter.min_should.is_some() {
        return Err(wrong("min_should"));
    }
    let all = |conditions: Vec<said::Condition>| -> Result<Option<Vec<Condition>>, Status> {
        if conditions.is_empty() {
            return Ok(None);
        }
        conditions
            .into_iter()
            .map(condition)
            .collect::<Result<_, _>>()
            .map(Some)
    };
    Ok(Filter {
        should: all(filter.should)?,
        must: all(filter.must)?,
        must_not: all(filter.must_not)?,
        ..Filter::default()
    })
}

fn condition(condition: said::Condition) -> Result<Condition, Status> {
    match condition.condition_one_of {
        Some(ConditionOneOf::Field(field)) => self::field(field),
        Some(ConditionOneOf::HasId(these)) => {
            let these: HasIdCondition = ids(these.has_id)?.into_iter().collect();
            Ok(Condition::HasId(these))
        }
        Some(ConditionOneOf::Filter(nested)) => Ok(Condition::Filter(filter(nested)?)),
        _ => Err(wrong("a condition that the test server does not know")),
    }
}

fn field(field: said::FieldCondition) -> Result<Condition, Status> {
    let key = path(&field.key)?;
    if let Some(range) = field.range {
        let range = Range {
            lt: range.lt.map(OrderedFloat),
            gt: range.gt.map(OrderedFloat),
            gte: range.gte.map(OrderedFloat),
            lte: range.lte.map(OrderedFloat),
        };
        return Ok(Condition::Field(FieldCondition::new_range(key, range)));
    }
    let is = |value: Match| Condition::Field(FieldCondition::new_match(key.clone(), value));
    let any = |values: Vec<Match>| {
        Condition::Filter(Filter {
            should: Some(values.into_iter().map(is).collect()),
            ..Filter::default()
        })
    };
    match field.r#match.and_then(|value| value.match_value) {
        Some(MatchValue::Keyword(text)) => Ok(is(text.into())),
        Some(MatchValue::Integer(number)) => Ok(is(number.into())),
        Some(MatchValue::Keywords(many)) => Ok(any(many.strings.into_iter().map(Match::from).collect())),
        Some(MatchValue::Integers(many)) => Ok(any(many.integers.into_iter().map(Match::from).collect())),
        _ => Err(wrong("a match that the test server does not know")),
    }
}

pub(super) fn index(params: Option<PayloadIndexParams>) -> Result<PayloadFieldSchema, Status> {
    let params = match params.and_then(|params| params.index_params) {
        Some(IndexParams::KeywordIndexParams(params)) => PayloadSchemaParams::Keyword(KeywordIndexParams {
            is_tenant: params.is_tenant,
            enable_hnsw: params.enable_hnsw,
            ..KeywordIndexParams::default()
        }),
        Some(IndexParams::IntegerIndexParams(params)) => PayloadSchemaParams::Integer(IntegerIndexParams {
            lookup: params.lookup,
            range: params.range,
            enable_hnsw: params.enable_hnsw,
            ..IntegerIndexParams::default()
        }),
        Some(IndexParams::UuidIndexParams(params)) => PayloadSchemaParams::Uuid(UuidIndexParams {
            is_tenant: params.is_tenant,
            enable_hnsw: params.enable_hnsw,
            ..UuidIndexParams::default()
        }),
        _ => return Err(wrong("an index that the test server does not know")),
    };
    Ok(PayloadFieldSchema::FieldParams(params))
}
