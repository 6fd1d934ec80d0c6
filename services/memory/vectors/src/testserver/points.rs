//! Qdrant's service for points.

use std::sync::Arc;

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_server::Points;
use qdrant_client::qdrant::with_vectors_selector::SelectorOptions;
use qdrant_client::qdrant::{
    ClearPayloadPoints, CountPoints, CountResponse, CountResult, CreateFieldIndexCollection,
    CreateVectorNameRequest, DeleteFieldIndexCollection, DeletePayloadPoints, DeletePointVectors,
    DeletePoints, DeleteVectorNameRequest, DiscoverBatchPoints, DiscoverBatchResponse, DiscoverPoints,
    DiscoverResponse, FacetCounts, FacetResponse, GetPoints, GetResponse, PayloadSchemaInfo,
    PointsOperationResponse, QueryBatchPoints, QueryBatchResponse, QueryGroupsResponse, QueryPointGroups,
    QueryPoints, QueryResponse, RecommendBatchPoints, RecommendBatchResponse, RecommendGroupsResponse,
    RecommendPointGroups, RecommendPoints, RecommendResponse, ScoredPoint, ScrollPoints, ScrollResponse,
    SearchBatchPoints, SearchBatchResponse, SearchGroupsResponse, SearchMatrixOffsetsResponse,
    SearchMatrixPairsResponse, SearchMatrixPoints, SearchPointGroups, SearchPoints, SearchResponse,
    SetPayloadPoints, UpdateBatchPoints, UpdateBatchResponse, UpdatePointVectors, UpdateResult, UpdateStatus,
    UpsertPoints, WithVectorsSelector,
};
use qdrant_edge::{
    ConditionalInsertOperation, CountRequest, CreateIndex, FieldIndexOperations, NamedQuery, OperationResult,
    PointInsertOperations, PointOperations, QueryEnum, ScrollRequest, SearchParams, SearchRequest,
    UpdateOperation, WithVector,
};
use tonic::{Request, Response, Status};

use super::collections::unsupported;
use super::convert;
use super::state::{Collection, State, failed};

const MOST: usize = 10_000;

/// What the engine answers, which blocks.
async fn ask<T: Send + 'static>(
    collection: Arc<Collection>,
    ask: impl FnOnce(&Collection) -> OperationResult<T> + Send + 'static,
) -> Result<T, Status> {
    let asked = tokio::task::spawn_blocking(move || ask(&collection)).await;
    asked
        .map_err(|error| Status::internal(error.to_string()))?
        .map_err(|error| failed(&error))
}

async fn update(
    collection: Arc<Collection>,
    wait: Option<bool>,
    operation: UpdateOperation,
) -> Result<Response<PointsOperationResponse>, Status> {
    if wait != Some(true) {
        return Err(Status::invalid_argument(
            "the test server wants wait, as its callers promise that writes are durable",
        ));
    }
    let write = |collection: &Collection| {
        let _alone = collection.writing.lock();
        collection.shard.update(operation)
    };
    ask(collection, write).await?;
    let result = UpdateResult {
        operation_id: None,
        status: UpdateStatus::Completed as i32,
    };
    Ok(Response::new(PointsOperationResponse {
        result: Some(result),
        ..PointsOperationResponse::default()
    }))
}

fn with_vectors(selector: Option<WithVectorsSelector>) -> WithVector {
    let options = selector.and_then(|selector| selector.selector_options);
    WithVector::Bool(matches!(options, Some(SelectorOptions::Enable(true))))
}

#[tonic::async_trait]
impl Points for State {
    async fn upsert(
        &self,
        request: Request<UpsertPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let points: Result<Vec<_>, _> = request.points.into_iter().map(convert::point).collect();
        let points = PointInsertOperations::PointsList(points?);
        let operation = match request.update_filter {
            None => PointOperations::UpsertPoints(points),
            Some(filter) => PointOperations::UpsertPointsConditional(ConditionalInsertOperation {
                points_op: points,
                condition: convert::filter(filter)?,
                update_mode: None,
            }),
        };
        update(
            collection,
            request.wait,
            UpdateOperation::PointOperation(operation),
        )
        .await
    }

    async fn delete(
        &self,
        request: Request<DeletePoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let selector = request.points.and_then(|points| points.points_selector_one_of);
        let operation = match selector {
            Some(PointsSelectorOneOf::Points(list)) => PointOperations::DeletePoints {
                ids: convert::ids(list.ids)?,
            },
            Some(PointsSelectorOneOf::Filter(filter)) => {
                PointOperations::DeletePointsByFilter(convert::filter(filter)?)
            }
            None => return Err(Status::invalid_argument("PointSelector is missing")),
        };
        update(
            collection,
            request.wait,
            UpdateOperation::PointOperation(operation),
        )
        .await
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let operation = FieldIndexOperations::CreateIndex(CreateIndex {
            field_name: convert::path(&request.field_name)?,
            field_schema: Some(convert::index(request.field_index_params.clone())?),
        });
        let schema = PayloadSchemaInfo {
            data_type: request.field_type.unwrap_or_default() + 1,
            params: request.field_index_params,
            points: Some(0),
        };
        let operation = UpdateOperation::FieldIndexOperation(operation);
        let answer = update(Arc::clone(&collection), request.wait, operation).await?;
        collection.schema.lock().insert(request.field_name, schema);
        Ok(answer)
    }

    async fn query(&self, request: Request<QueryPoints>) -> Result<Response<QueryResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let params = request.params.unwrap_or_default();
        let search = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery::default_dense(convert::nearest(request.query)?)),
            filter: request.filter.map(convert::filter).transpose()?,
            params: Some(SearchParams {
                hnsw_ef: params.hnsw_ef.and_then(|ef| usize::try_from(ef).ok()),
                exact: params.exact.unwrap_or(false),
                ..SearchParams::default()
            }),
            limit: usize::try_from(request.limit.unwrap_or(10))
                .unwrap_or(MOST)
                .min(MOST),
            offset: 0,
            with_payload: Some(convert::selector(request.with_payload)?),
            with_vector: None,
            score_threshold: request.score_threshold,
        };
        let found = ask(collection, |collection| collection.shard.search(search)).await?;
        let result = found.into_iter().map(|point| ScoredPoint {
            id: Some(convert::said_id(point.id)),
            payload: convert::payload(point.payload),
            score: point.score,
            version: point.version,
            ..ScoredPoint::default()
        });
        Ok(Response::new(QueryResponse {
            result: result.collect(),
            ..QueryResponse::default()
        }))
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Result<Response<ScrollResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let scroll = ScrollRequest {
            offset: request
                .offset
                .map(|offset| convert::id(Some(offset)))
                .transpose()?,
            limit: request.limit.map(|limit| limit as usize),
            filter: request.filter.map(convert::filter).transpose()?,
            with_payload: Some(convert::selector(request.with_payload)?),
            with_vector: with_vectors(request.with_vectors),
            order_by: None,
        };
        let (found, next) = ask(collection, |collection| collection.shard.scroll(scroll)).await?;
        Ok(Response::new(ScrollResponse {
            next_page_offset: next.map(convert::said_id),
            result: found.into_iter().map(convert::record).collect(),
            ..ScrollResponse::default()
        }))
    }

    async fn get(&self, request: Request<GetPoints>) -> Result<Response<GetResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let ids = convert::ids(request.ids)?;
        let payload = convert::selector(request.with_payload)?;
        let vectors = with_vectors(request.with_vectors);
        let retrieve =
            move |collection: &Collection| collection.shard.retrieve(&ids, Some(payload), Some(vectors));
        let found = ask(collection, retrieve).await?;
        Ok(Response::new(GetResponse {
            result: found.into_iter().map(convert::record).collect(),
            ..GetResponse::default()
        }))
    }

    async fn count(&self, request: Request<CountPoints>) -> Result<Response<CountResponse>, Status> {
        let request = self.admit(request).await?;
        let collection = self.collection(&request.collection_name)?;
        let count = CountRequest {
            filter: request.filter.map(convert::filter).transpose()?,
            exact: request.exact.unwrap_or(true),
        };
        let count = ask(collection, |collection| collection.shard.count(count)).await?;
        Ok(Response::new(CountResponse {
            result: Some(CountResult { count: count as u64 }),
            ..CountResponse::default()
        }))
    }

    unsupported! {
        update_vectors: UpdatePointVectors => PointsOperationResponse;
        delete_vectors: DeletePointVectors => PointsOperationResponse;
        set_payload: SetPayloadPoints => PointsOperationResponse;
        overwrite_payload: SetPayloadPoints => PointsOperationResponse;
        delete_payload: DeletePayloadPoints => PointsOperationResponse;
        clear_payload: ClearPayloadPoints => PointsOperationResponse;
        delete_field_index: DeleteFieldIndexCollection => PointsOperationResponse;
        create_vector_name: CreateVectorNameRequest => PointsOperationResponse;
        delete_vector_name: DeleteVectorNameRequest => PointsOperationResponse;
        search_batch: SearchBatchPoints => SearchBatchResponse;
        search_groups: SearchPointGroups => SearchGroupsResponse;
        recommend: RecommendPoints => RecommendResponse;
        recommend_batch: RecommendBatchPoints => RecommendBatchResponse;
        recommend_groups: RecommendPointGroups => RecommendGroupsResponse;
        discover: DiscoverPoints => DiscoverResponse;
        discover_batch: DiscoverBatchPoints => DiscoverBatchResponse;
        update_batch: UpdateBatchPoints => UpdateBatchResponse;
        search: SearchPoints => SearchResponse;
        query_batch: QueryBatchPoints => QueryBatchResponse;
        query_groups: QueryPointGroups => QueryGroupsResponse;
        facet: FacetCounts => FacetResponse;
        search_matrix_pairs: SearchMatrixPoints => SearchMatrixPairsResponse;
        search_matrix_offsets: SearchMatrixPoints => SearchMatrixOffsetsResponse;
    }
}
